import type { FlowDissector } from '../../flow/dissector.js';
import { NOT_VIP } from '../../table/vip-matcher.js';
import type { PathState } from '../state.js';
import { sessionsOf } from './forwarder-site.js';

/** What a redirector knows of the world besides sockets: its own address, the underlay, and what is served. */
export interface RedirectorSite {
  /** This server's address on the underlay, as a number. */
  readonly address: number;
  /** UDP port of GUE. */
  readonly port: number;
  /** Largest IP packet in bytes that can be sent on; asked for GRE only, as everything else leaves no larger than it came. */
  readonly mtu: number;
  /** Is this address one of ours? */
  isUnderlay(address: number): boolean;
  /**
   * Who serves this destination.
   * @param offset of its 4 or 16 bytes in `data`; @param port -1 for any
   * @returns index of a trafficset, `NOT_VIP` or `NO_SERVICE`
   */
  trafficsetOf(version: 4 | 6, data: DataView, offset: number, protocol: number, port: number): number;
  /** Do flows of this trafficset have a second hop to fall back on? */
  hasSecondHop(trafficset: number): boolean;
  serviceOf(trafficset: number): RedirectorService;
}

/** What a trafficset has of its own. */
export interface RedirectorService {
  /** Null where the 4-tuple says it all. */
  readonly dissector: FlowDissector | null;
  /** Whether fragments end as the first one of their datagram did, or are dropped. */
  readonly followsFragments: boolean;
  /** Whether the service here has a session of that key; null where sessions do not decide. */
  readonly hasSession: ((key: Uint8Array) => boolean) | null;
}

const PLAIN: RedirectorService = { dissector: null, followsFragments: false, hasSession: null };

/** The site of a node: its configuration. */
export function siteOf(state: PathState): RedirectorSite {
  return {
    address: state.dip,
    port: state.port,
    mtu: state.underlayMtu,
    isUnderlay: (address) => state.isUnderlay(address),
    trafficsetOf: (version, data, offset, protocol, port) =>
      version === 4
        ? state.vips.match4(data.getInt32(offset), protocol, port)
        : state.vips.match6(data, offset, protocol, port),
    hasSecondHop: (trafficset) => state.trafficsets[trafficset].twoSlots === 1,
    serviceOf: (index) => {
      const trafficset = state.trafficsets[index];
      return {
        dissector: trafficset.dissector,
        followsFragments: trafficset.followsFragments === 1,
        hasSession: sessionsOf(trafficset),
      };
    },
  };
}

/** A site that knows no more than its address: enough for profiles that check neither underlay nor services. */
export function bareSite(address: number, port: number, mtu = 65_536): RedirectorSite {
  return {
    address,
    port,
    mtu,
    isUnderlay: () => true,
    trafficsetOf: () => NOT_VIP,
    hasSecondHop: () => true,
    serviceOf: () => PLAIN,
  };
}
