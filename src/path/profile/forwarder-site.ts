import type { FlowDissector } from '../../flow/dissector.js';
import { FlowKey } from '../../flow/flow-key.js';
import { FourTuple } from '../../flow/four-tuple.js';
import { NOT_VIP } from '../../table/vip-matcher.js';
import { OwnerRule, type PathState, type TrafficsetState } from '../state.js';
import type { KeyField } from './forwarder-profile.js';

/** What a destination belongs to: a trafficset, a table of GLB's, a VIP of Katran's. */
export interface ForwarderService {
  readonly name: string;
  /** Position among its kind. */
  readonly index: number;
  /** The secret of the flow hash: 8 bytes for HalfSipHash, 16 for SipHash. */
  readonly hashKey: Uint8Array;
  /** A row is the hash modulo this; 0 where there is no table (yet). */
  readonly rowCount: number;
  /** Addresses as numbers, the first hop first; empty where the row is. */
  hopsOf(row: number): readonly number[];
  /** Whether flows have a second hop to fall back on. */
  readonly hasSecondHop: boolean;
  /** Takes the key from packets in a way of its own; null where the fields of the key say it all. */
  readonly dissector: FlowDissector | null;
  /** Whether fragments follow the first one of their datagram, or are dropped. */
  readonly followsFragments: boolean;
  /** Whether a server stands in the table. */
  hasMember(dip: number): boolean;
  /** Whether the service here has a session of that key; null where sessions do not decide. */
  readonly hasSession: ((key: Uint8Array) => boolean) | null;
  /** Instead of the profile's. */
  readonly keyFields: readonly KeyField[] | null;
}

/** What a forwarder knows of the world besides sockets: its own address, and what is served. */
export interface ForwarderSite {
  /** This server's address on the underlay, as a number. */
  readonly address: number;
  /** UDP port of GUE. */
  readonly port: number;
  /** In bytes; of what, the profile says. */
  readonly mtu: number;
  /**
   * Who serves this destination.
   * @param offset of its 4 or 16 bytes in `data`; @param port -1 for any
   */
  serviceOf(
    version: 4 | 6,
    data: DataView,
    offset: number,
    protocol: number,
    port: number,
  ): ForwarderService | 'not-vip' | 'no-service';
}

/** The site of a node: its configuration. */
export function forwarderSiteOf(state: PathState): ForwarderSite {
  const services = state.trafficsets.map(serviceOf);
  return {
    address: state.dip,
    port: state.port,
    mtu: state.underlayMtu,
    serviceOf: (version, data, offset, protocol, port) => {
      const match =
        version === 4
          ? state.vips.match4(data.getInt32(offset), protocol, port)
          : state.vips.match6(data, offset, protocol, port);
      if (match >= 0) return services[match];
      return match === NOT_VIP ? 'not-vip' : 'no-service';
    },
  };
}

function serviceOf(trafficset: TrafficsetState, index: number): ForwarderService {
  const { name, slots, twoSlots, key0, key1, dissector } = trafficset;
  const hashKey = Buffer.alloc(8);
  hashKey.writeInt32LE(key0, 0);
  hashKey.writeInt32LE(key1, 4);
  return {
    name,
    index,
    hashKey,
    rowCount: slots.length / 2,
    hopsOf: (row) => {
      const [first, second] = [slots[2 * row], slots[2 * row + 1]];
      if (first === 0) return [];
      return second === 0 || twoSlots === 0 ? [first] : [first, second];
    },
    hasSecondHop: twoSlots === 1,
    dissector: dissector instanceof FourTuple ? null : dissector,
    followsFragments: trafficset.followsFragments === 1,
    hasMember: (dip) => trafficset.members.includes(dip),
    hasSession: sessionsOf(trafficset),
    keyFields: null,
  };
}

/** @returns null where sessions do not decide */
export function sessionsOf(trafficset: TrafficsetState): ((key: Uint8Array) => boolean) | null {
  if (trafficset.ownerRule !== OwnerRule.Sessions) return null;
  return (bytes) => {
    const key = new FlowKey();
    key.bytes.set(bytes);
    return trafficset.sessions.has(key, bytes.length);
  };
}
