import type { IpPacket } from '../wire/ip.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/** Instead of a key length: this packet carries no key of mine, use the 4-tuple. */
export const DISSECT_FALLBACK = 0;
/** Instead of a key length: drop the packet. */
export const DISSECT_DROP = -1;

/**
 * Takes the flow key from a packet. One per trafficset, made once; `dissect` runs for every packet and must not
 * allocate or throw.
 */
export interface FlowDissector {
  /** The name used in configuration. */
  readonly name: string;
  /**
   * @param packet the parsed packet; bytes `[packet.transport, packet.end)` may be read. Not given for ICMP errors:
   *   those are always hashed by the quoted 4-tuple.
   * @param flow its addresses and ports
   * @param key where the key goes
   * @returns key length in bytes (1 .. MAX_KEY_LENGTH), DISSECT_FALLBACK or DISSECT_DROP
   */
  dissect(packet: IpPacket, flow: Flow, key: FlowKey): number;
}
