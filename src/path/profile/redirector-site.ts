import { NOT_VIP } from '../../table/vip-matcher.js';
import type { PathState } from '../state.js';

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
}

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
  };
}
