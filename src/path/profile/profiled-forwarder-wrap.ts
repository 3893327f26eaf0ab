import { pseudoHeaderSum4, udpChecksum } from '../../wire/checksum.js';
import { encodeGueHopsInto, GUE_HEADER, GUE_HOP, GUE_PRIVATE } from '../../wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { encodeIpv4Into, IPV4_HEADER } from '../../wire/ipv4.js';
import { encodeUdpInto, UDP_AT_CHECKSUM, UDP_HEADER } from '../../wire/udp.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import type { FlowHash } from './profiled-forwarder-key.js';
import type { ForwardFlow } from './profiled-forwarder-reading.js';

/** Last part of the model: the bytes that leave. */

/** Outer addresses, ports and hops. */
export interface Envelope {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The hop list, without the destination unless it stands there too. */
  readonly hops: readonly number[];
  readonly nextHop: number;
}

/** Bytes in front of the wrapped packet. */
export function overheadOf(hops: readonly number[]): number {
  return IPV4_HEADER + UDP_HEADER + GUE_HEADER + GUE_PRIVATE + GUE_HOP * hops.length;
}

export function sourcePortOf({ sourcePort }: ForwarderProfile, { low }: FlowHash, hint: number): number {
  const entropy = sourcePort === 'upper-hash-bits' ? low >>> 17 : (low ^ hint) & 0x7fff;
  return 0x8000 | entropy;
}

/** Outer IPv4, UDP, GUE and the hop list in front of the packet. The lengths are the packet's own, not the bytes that came. */
export function wrap(
  profile: ForwarderProfile,
  packet: Uint8Array,
  { version, length }: Pick<ForwardFlow, 'version' | 'length'>,
  { source, destination, sourcePort, destinationPort, hops, nextHop }: Envelope,
): Uint8Array {
  const inner = profile.padding === 'cut' ? packet.subarray(0, length) : packet;
  const overhead = overheadOf(hops);
  const bytes = new Uint8Array(overhead + inner.length);
  bytes.set(inner, overhead);
  const data = new DataView(bytes.buffer);
  // A length has 16 bits; of one that is trusted, the rest is lost.
  const total = (overhead + length) & 0xffff;
  const udpLength = (overhead + length - IPV4_HEADER) & 0xffff;
  const udp = encodeIpv4Into(data, 0, total, IP_PROTOCOL_UDP, source, destination);
  encodeUdpInto(data, udp, sourcePort, destinationPort, udpLength);
  const protocol = version === 4 ? IP_PROTOCOL_IPIP : IP_PROTOCOL_IPV6;
  encodeGueHopsInto(data, udp + UDP_HEADER, protocol, hops, nextHop);
  if (profile.udpChecksum === 'filled') {
    const pseudo = pseudoHeaderSum4(source, destination, IP_PROTOCOL_UDP, udpLength);
    const covered = Math.min(udpLength, bytes.length - udp);
    data.setUint16(udp + UDP_AT_CHECKSUM, udpChecksum(data, udp, covered, pseudo));
  }
  return bytes;
}
