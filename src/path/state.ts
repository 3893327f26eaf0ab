import type { DissectorServer, DissectorSpec, FlowDissector } from '../flow/dissector.js';
import { createDissector } from '../flow/registry.js';
import { ForwardingTable, type SharedTable } from '../table/forwarding-table.js';
import type { TrafficsetKind } from '../table/trafficset.js';
import { type SharedVips, VipMatcher } from '../table/vip-matcher.js';
import { AddressSet } from './address-set.js';
import { buildSessions, SessionSet, type SharedSessions } from './session-set.js';

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
  /** All servers of the fleet: dissectors may know them by name. */
  readonly servers: readonly DissectorServer[];
  /** Most copies per second that a forwarder makes of ICMP errors whose server cannot be told. */
  readonly icmpCopies: number;
}

export interface PathTrafficset {
  readonly name: string;
  readonly kind: TrafficsetKind;
  /** IP protocol numbers. */
  readonly protocols: readonly number[];
  readonly dissector: DissectorSpec;
  /** 1 when fragments follow the first one of their datagram, 0 when they are dropped. */
  readonly followsFragments: 0 | 1;
  /** Whether the service says which sessions it has; only where the kind is `udp-session`. */
  readonly hasSessions: boolean;
  /** The sessions that it has; null as long as it has said nothing, which counts as none. */
  readonly sessions: SharedSessions | null;
  /** Absent until a first table was read: its packets are dropped, as any choice of server might be wrong. */
  readonly table: SharedTable | null;
}

/** How a trafficset decides whether a packet belongs here or to the second hop. */
export const OwnerRule = {
  /** By SYN and sockets. */
  Sockets: 0,
  /** Always here: there is no second hop. */
  Here: 1,
  /** By the sessions that the service has. */
  Sessions: 2,
} as const;
export type OwnerRule = (typeof OwnerRule)[keyof typeof OwnerRule];

/** A table that takes more than this many bytes is mostly in no cache that is near. */
const LARGE_TABLE = 1 << 20;

const NO_SESSIONS = buildSessions([]);

/** One trafficset as the hot path wants it: numbers and typed arrays only. */
export class TrafficsetState {
  readonly name: string;
  readonly kind: TrafficsetKind;
  readonly ownerRule: OwnerRule;
  /** 1 when flows have a second hop to fall back on. */
  readonly twoSlots: number;
  readonly dissector: FlowDissector;
  /** 1 when the tuple alone tells the key: ICMP errors then follow the flow that they quote. */
  readonly quotable: number;
  /** 1 when packets are changed right before they are delivered. */
  readonly alters: number;
  readonly followsFragments: number;
  sessions: SessionSet;
  /** First and second hop of each bucket, alternating; length 0 when there is no table. */
  slots: Uint32Array = new Uint32Array(0);
  mask = 0;
  /** 1 when rows are better fetched for many packets together: see postponed.ts. */
  isLarge = 0;
  key0 = 0;
  key1 = 0;
  /** Every server of the table, host order. */
  members: Uint32Array = new Uint32Array(0);
  /** The same, to ask whether a server is one of them. */
  memberSet = new AddressSet(this.members);
  /** Version of the table in use, -1 for none. */
  version = -1;

  /** @throws DissectorError */
  constructor(config: PathTrafficset, servers: readonly DissectorServer[]) {
    const dissector = createDissector(config.dissector, { servers, protocols: config.protocols });
    this.name = config.name;
    this.kind = config.kind;
    this.ownerRule = ownerRuleOf(config);
    this.twoSlots = this.ownerRule === OwnerRule.Here ? 0 : 1;
    this.dissector = dissector;
    this.quotable = dissector.dissectQuoted === undefined ? 0 : 1;
    this.alters = dissector.deliver === undefined ? 0 : 1;
    this.followsFragments = config.followsFragments;
    this.sessions = new SessionSet(config.sessions ?? NO_SESSIONS);
    if (config.table !== null) this.useTable(ForwardingTable.fromShared(config.table));
  }

  useSessions(sessions: SharedSessions): void {
    this.sessions = new SessionSet(sessions);
  }

  useTable(table: ForwardingTable): void {
    this.slots = table.slots;
    this.mask = table.mask;
    this.isLarge = table.slots.byteLength >= LARGE_TABLE ? 1 : 0;
    this.key0 = table.key0;
    this.key1 = table.key1;
    this.members = table.members;
    this.memberSet = new AddressSet(table.members);
    this.version = table.version;
  }
}

function ownerRuleOf({ kind, hasSessions }: PathTrafficset): OwnerRule {
  if (kind === 'request-response') return OwnerRule.Here;
  if (kind !== 'udp-session') return OwnerRule.Sockets;
  return hasSessions ? OwnerRule.Sessions : OwnerRule.Here;
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
  vips: VipMatcher;
  readonly trafficsets: readonly TrafficsetState[];
  readonly icmpCopies: number;
  /** 1 when some trafficset follows fragments; and when some dissector changes what is delivered. */
  readonly followsFragments: number;
  readonly alters: number;

  /** @throws DissectorError */
  constructor(config: PathConfig) {
    this.dip = config.dip;
    this.self = config.dip | 0;
    this.port = config.port;
    this.underlayMtu = config.underlayMtu;
    this.underlayPrefixes = config.underlayPrefixes;
    this.network = config.underlayPrefixes[0] | 0;
    this.mask = config.underlayPrefixes[1] | 0;
    this.vips = VipMatcher.fromShared(config.vips);
    this.trafficsets = config.trafficsets.map(
      (trafficset) => new TrafficsetState(trafficset, config.servers),
    );
    this.icmpCopies = config.icmpCopies;
    this.followsFragments = this.trafficsets.some(({ followsFragments }) => followsFragments === 1) ? 1 : 0;
    this.alters = this.trafficsets.some(({ alters }) => alters === 1) ? 1 : 0;
  }

  useVips(vips: SharedVips): void {
    this.vips = VipMatcher.fromShared(vips);
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
