import type { FlowDissector } from '../flow/dissector.js';
import { findDissector } from '../flow/registry.js';
import { ForwardingTable, type SharedTable } from '../table/forwarding-table.js';
import type { TrafficsetKind } from '../table/trafficset.js';
import { type SharedVips, VipMatcher } from '../table/vip-matcher.js';

/**
 * What every packet is judged by. Plain data that can be handed to a worker: tables and VIPs lie in shared memory,
 * so that handing over copies nothing.
 */
export interface PathConfig {
  /** This server's DIP, as a number. */
  readonly dip: number;
  /** UDP port of GUE. */
  readonly port: number;
  /** Largest packet in bytes, outer header included, that the underlay carries. */
  readonly underlayMtu: number;
  /** Who may send GUE here: address and mask, alternating. */
  readonly underlayPrefixes: Uint32Array;
  readonly vips: SharedVips;
  readonly trafficsets: readonly PathTrafficset[];
}

export interface PathTrafficset {
  readonly name: string;
  readonly kind: TrafficsetKind;
  readonly dissector: string;
  /** Absent until a first table was read: its packets are dropped, as any choice of server might be wrong. */
  readonly table: SharedTable | null;
}

/** One trafficset as the hot path wants it: numbers and typed arrays only. */
export class TrafficsetState {
  readonly name: string;
  readonly kind: TrafficsetKind;
  /** 1 when flows have a second hop to fall back on. */
  readonly twoSlots: number;
  readonly dissector: FlowDissector;
  /** First and second hop of each bucket, alternating; length 0 when there is no table. */
  slots: Uint32Array = new Uint32Array(0);
  mask = 0;
  key0 = 0;
  key1 = 0;
  /** Version of the table in use, -1 for none. */
  version = -1;

  constructor(config: PathTrafficset) {
    const dissector = findDissector(config.dissector);
    if (dissector === undefined) {
      throw new Error(`trafficset ${config.name}: there is no dissector named ${config.dissector}`);
    }
    this.name = config.name;
    this.kind = config.kind;
    this.twoSlots = config.kind === 'request-response' ? 0 : 1;
    this.dissector = dissector;
    if (config.table !== null) this.useTable(ForwardingTable.fromShared(config.table));
  }

  useTable(table: ForwardingTable): void {
    this.slots = table.slots;
    this.mask = table.mask;
    this.key0 = table.key0;
    this.key1 = table.key1;
    this.version = table.version;
  }
}

/** {@link PathConfig} made ready for packets. Replaced between two batches, never changed while one is at work. */
export class PathState {
  readonly dip: number;
  /** The DIP as an int32. Hot code compares addresses so: numbers from 2^31 on would be boxed between functions. */
  readonly self: number;
  readonly port: number;
  readonly underlayMtu: number;
  readonly underlayPrefixes: Uint32Array;
  private readonly network: number;
  private readonly mask: number;
  readonly vips: VipMatcher;
  readonly trafficsets: readonly TrafficsetState[];

  constructor(config: PathConfig) {
    this.dip = config.dip;
    this.self = config.dip | 0;
    this.port = config.port;
    this.underlayMtu = config.underlayMtu;
    this.underlayPrefixes = config.underlayPrefixes;
    this.network = config.underlayPrefixes[0] | 0;
    this.mask = config.underlayPrefixes[1] | 0;
    this.vips = VipMatcher.fromShared(config.vips);
    this.trafficsets = config.trafficsets.map((trafficset) => new TrafficsetState(trafficset));
  }

  /** May this address send GUE to us? @param address as a number, signed or not */
  isUnderlay(address: number): boolean {
    // Most underlays are one prefix.
    if ((address & this.mask) === this.network) return true;
    const prefixes = this.underlayPrefixes;
    for (let i = 2; i < prefixes.length; i += 2) {
      if ((address & prefixes[i + 1]) === (prefixes[i] | 0)) return true;
    }
    return false;
  }
}
