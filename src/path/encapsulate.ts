import { GUE_HOP, gueOverhead } from '../wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP } from '../wire/ip.js';

/**
 * Writes outer IPv4, UDP, GUE and the hop list in front of a packet, into the slot's headroom.
 *
 * Outer IPv4 (RFC 791): no options, TOS 0 (RFC 6040 compatibility mode), identification 0 and DF (RFC 6864), TTL 64.
 * UDP (RFC 768): checksum 0, which IPv4 allows and tunnels prefer. GUE variant 0 (draft-ietf-intarea-gue-09) with
 * the private data of GLB and Unimog.
 *
 * The encoders of the wire room, one after the other, write the same and cost the forwarder a tenth; they are the twin
 * that the test holds this against.
 */

/** Outer IPv4 20, UDP 8, GUE 4, private data 4. */
export const ENCAPSULATION_BASE = gueOverhead(0);
export const HOP_LENGTH = GUE_HOP;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const BASE = ENCAPSULATION_BASE;
const PER_HOP = HOP_LENGTH;
const UDP = IP_PROTOCOL_UDP;
const IPIP = IP_PROTOCOL_IPIP;
const IPV6 = IP_PROTOCOL_IPV6;
const TTL = 64;

/**
 * @param inner offset of the packet to wrap; the header is written to end there
 * @param length of the packet to wrap
 * @param version IP version of that packet
 * @param source outer source; @param destination outer destination (IPv4 addresses as numbers)
 * @param sourcePort flow entropy; @param port destination port
 * @param hop second hop, or 0 for an empty list; @param nextHop index of the next hop to try
 * @returns number of bytes written: 36, or 40 with a hop
 */
export function encapsulate(
  data: DataView,
  inner: number,
  length: number,
  version: number,
  source: number,
  destination: number,
  sourcePort: number,
  port: number,
  hop: number,
  nextHop: number,
): number {
  const hops = hop === 0 ? 0 : 1;
  const overhead = BASE + hops * PER_HOP;
  const total = length + overhead;
  const at = inner - overhead;

  // Sum of the header's constant words 0x4500, 0x0000, 0x4000 and 0x4011, then what varies (RFC 1071).
  let sum = 0x4500 + 0x4000 + ((TTL << 8) | UDP) + total;
  sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);

  data.setUint32(at, 0x45000000 | total);
  data.setUint32(at + 4, 0x00004000);
  data.setUint32(at + 8, (TTL << 24) | (UDP << 16) | (~sum & 0xffff));
  data.setUint32(at + 12, source);
  data.setUint32(at + 16, destination);
  data.setUint32(at + 20, (sourcePort << 16) | port);
  data.setUint32(at + 24, (total - 20) << 16);
  data.setUint32(at + 28, ((1 + hops) << 24) | ((version === 4 ? IPIP : IPV6) << 16));
  data.setUint32(at + 32, (nextHop << 8) | hops);
  if (hops === 1) data.setUint32(at + 36, hop);
  return overhead;
}

/** Outer UDP source port: the hash's upper 15 bits, so that every packet of a flow has the same and flows spread. */
export function entropyPort(hash: number): number {
  return 0x8000 | (hash >>> 17);
}
