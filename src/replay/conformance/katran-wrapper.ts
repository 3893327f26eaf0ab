import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { IPV4_AT_PROTOCOL, IPV4_HEADER } from '../../wire/ipv4.js';
import { IPV6_AT_NEXT_HEADER, IPV6_HEADER } from '../../wire/ipv6.js';
import { UDP_HEADER } from '../../wire/udp.js';

/**
 * Katran's wrappers: IP in IP, or IP in UDP (GUE variant 1). It wraps in IPv4 or IPv6, as its server's address is, and
 * leaves in the outer header a trace of the flow it has read: client address and port, mixed. That tells which flow a
 * packet was taken for.
 *
 * Source: facebookincubator/katran, `katran/lib/bpf/pckt_encap.h`.
 */

export interface KatranWrapped {
  readonly inner: Uint8Array;
  /** The mixed bytes. */
  readonly trace: Uint8Array;
  readonly wrapper: 'ipv4' | 'ipv6' | 'udp over ipv4' | 'udp over ipv6';
}

/** @param packet from the outer IP header on; @returns null when it is no wrapper of Katran's */
export function unwrapKatran(packet: Uint8Array): KatranWrapped | null {
  const isIpv4 = packet[0] === 0x45;
  if (!isIpv4 && packet[0] >>> 4 !== 6) return null;
  const header = isIpv4 ? IPV4_HEADER : IPV6_HEADER;
  const protocol = packet[isIpv4 ? IPV4_AT_PROTOCOL : IPV6_AT_NEXT_HEADER];
  if (packet.length < header + UDP_HEADER) return null;
  if (protocol === IP_PROTOCOL_IPIP || protocol === IP_PROTOCOL_IPV6) {
    // The last bytes of the source address.
    const trace = isIpv4 ? packet.subarray(14, 16) : packet.subarray(20, 24);
    return { inner: packet.subarray(header), trace, wrapper: isIpv4 ? 'ipv4' : 'ipv6' };
  }
  if (protocol !== IP_PROTOCOL_UDP) return null;
  return {
    inner: packet.subarray(header + UDP_HEADER),
    trace: packet.subarray(header, header + 2),
    wrapper: isIpv4 ? 'udp over ipv4' : 'udp over ipv6',
  };
}

/** The trace that a flow of this client leaves in that wrapper. @param address 4 or 16 bytes */
export function traceOf(wrapper: KatranWrapped['wrapper'], address: Uint8Array, port: number): Uint8Array {
  const [high, low] = [port >>> 8, port & 0xff];
  const last = address.subarray(-4);
  // Over IPv4 the port comes with its bytes exchanged, and meets the end of the address.
  if (wrapper === 'ipv4' || wrapper === 'udp over ipv4') return Uint8Array.of(last[2] ^ low, last[3] ^ high);
  if (wrapper === 'ipv6') return Uint8Array.of(last[0] ^ high, last[1] ^ low, last[2], last[3]);
  // Over IPv6 it meets the half of the word that a little-endian machine takes for the lower one; of IPv4, the upper.
  const [first, second] = address.length === 4 ? [last[2], last[3]] : [last[0], last[1]];
  return Uint8Array.of(first ^ high, second ^ low);
}
