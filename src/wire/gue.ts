import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6 } from './ip.js';
import { Reason } from './reason.js';
import type { UdpView } from './udp.js';

/**
 * Generic UDP Encapsulation, variant 0, with a list of hops as its private data: the wrapper in which one node sends a
 * packet to another.
 *
 * ```
 *  0                   1                   2                   3
 * |Var|C|  Hlen   |     Proto     |             Flags             |
 * |Version|S|G| 0 |   Reserved    |   Next Hop    |   Hop Count   |
 * |                     Hop 0 (IPv4 address)                      |
 * |                              ...                              |
 * ```
 *
 * Hlen counts 32-bit words behind the first four bytes: 1 + hop count here, always. Next hop is the index of the hop
 * to try next; when it has reached the hop count, the packet is at its last hop. S asks that a SYN goes on to the next
 * hop too, G that the last step is made with GRE: both come from Cloudflare's redirector.
 *
 * Sources: draft-ietf-intarea-gue-09 section 3; GitHub's GLB (the hop list); Cloudflare's `test_cls_redirect.c`
 * (version, S and G).
 */

/** UDP destination port (IANA). */
export const GUE_PORT = 6080;

/** The four bytes before the private data. */
export const GUE_HEADER = 4;
/** The private data without its hops. */
export const GUE_PRIVATE = 4;
export const GUE_HOP = 4;
/** Hlen has five bits, one word is the private data's own. */
export const GUE_MAX_HOPS = 30;

export const GUE_AT_HLEN = 0;
export const GUE_AT_PROTO = 1;
export const GUE_AT_FLAGS = 2;
export const GUE_AT_VERSION = 4;
export const GUE_AT_RESERVED = 5;
export const GUE_AT_NEXT_HOP = 6;
export const GUE_AT_HOP_COUNT = 7;
export const GUE_AT_HOPS = 8;

const CONTROL = 0x20;
const HLEN_MASK = 0x1f;
/** In the byte at `GUE_AT_VERSION`. */
const FORWARD_SYN = 0x08;
const LAST_HOP_GRE = 0x04;
/** Version, and the two bits that nobody uses. */
const MUST_BE_ZERO = 0xf3;

const IPV4_AND_UDP = 28;

/** Bytes that wrapping adds over an IPv4 underlay: outer IPv4 20, UDP 8, GUE 4, private data 4, hops 4 each. */
export function gueOverhead(hops: number): number {
  return IPV4_AND_UDP + GUE_HEADER + GUE_PRIVATE + hops * GUE_HOP;
}

/** A checked GUE header with its hop list. */
export class GueView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the GUE header: the UDP payload. */
  offset = 0;
  /** Start of the wrapped packet. */
  payload = 0;
  /** One past its last byte: the limit given to `attach`. */
  end = 0;

  /**
   * @param limit one past the UDP payload's last byte
   * @returns Ok;
   *   Truncated: shorter than header and hop list;
   *   UnsupportedVariant: not variant 0;
   *   UnsupportedFlags: a control message, a GUE flag, or a bit of the private data that must be 0;
   *   BadHopList: Hlen is not 1 + hop count, or next hop is greater than hop count;
   *   UnknownType: the wrapped packet is neither IPv4 nor IPv6
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < GUE_HEADER) return Reason.Truncated;
    const first = data.getUint8(offset + GUE_AT_HLEN);
    if (first >>> 6 !== 0) return Reason.UnsupportedVariant;
    if ((first & CONTROL) !== 0 || data.getUint16(offset + GUE_AT_FLAGS) !== 0)
      return Reason.UnsupportedFlags;
    const hlen = first & HLEN_MASK;
    if (hlen === 0) return Reason.BadHopList;
    const payload = offset + GUE_HEADER + (hlen << 2);
    if (payload > limit) return Reason.Truncated;
    if ((data.getUint8(offset + GUE_AT_VERSION) & MUST_BE_ZERO) !== 0) return Reason.UnsupportedFlags;
    if (data.getUint8(offset + GUE_AT_RESERVED) !== 0) return Reason.UnsupportedFlags;
    const hopCount = data.getUint8(offset + GUE_AT_HOP_COUNT);
    if (hlen !== 1 + hopCount) return Reason.BadHopList;
    if (data.getUint8(offset + GUE_AT_NEXT_HOP) > hopCount) return Reason.BadHopList;
    const protocol = data.getUint8(offset + GUE_AT_PROTO);
    if (protocol !== IP_PROTOCOL_IPIP && protocol !== IP_PROTOCOL_IPV6) return Reason.UnknownType;
    this.data = data;
    this.offset = offset;
    this.payload = payload;
    this.end = limit;
    return Reason.Ok;
  }

  /** GUE header, private data and hops, in bytes. */
  get headerLength(): number {
    return this.payload - this.offset;
  }

  /** Of the wrapped packet: 4 (IPv4) or 41 (IPv6). */
  get protocol(): number {
    return this.data.getUint8(this.offset + GUE_AT_PROTO);
  }

  get hopCount(): number {
    return this.data.getUint8(this.offset + GUE_AT_HOP_COUNT);
  }

  /** Index of the hop to try next, 0 .. hopCount; hopCount means that there is none. */
  get nextHop(): number {
    return this.data.getUint8(this.offset + GUE_AT_NEXT_HOP);
  }

  /** Address of the hop to try next, 0 when there is none. */
  get nextHopAddress(): number {
    return this.hop(this.nextHop);
  }

  /** 1 when a SYN is to go on to the next hop as well, else 0. */
  get forwardSyn(): number {
    return (this.data.getUint8(this.offset + GUE_AT_VERSION) & FORWARD_SYN) === 0 ? 0 : 1;
  }

  /** 1 when the step to the last hop is to be made with GRE, else 0. */
  get lastHopGre(): number {
    return (this.data.getUint8(this.offset + GUE_AT_VERSION) & LAST_HOP_GRE) === 0 ? 0 : 1;
  }

  /** Address of hop `index` as a number, 0 when the list has no such hop. */
  hop(index: number): number {
    if (index < 0 || index >= this.hopCount) return 0;
    return this.data.getUint32(this.offset + GUE_AT_HOPS + (index << 2));
  }

  /** @param udp the UDP header around this one, whose checksum, if it has one, is kept right; @param index 0 .. hopCount */
  setNextHop(index: number, udp: UdpView): void {
    const at = this.offset + GUE_AT_NEXT_HOP;
    const before = this.data.getUint16(at);
    const after = (index << 8) | (before & 0xff);
    this.data.setUint16(at, after);
    udp.patchChecksum16(before, after);
  }
}

/**
 * Writes a header with at most one hop, which is what the forwarder sends.
 * @param protocol of the packet that follows: 4 or 41
 * @param hop the second hop's address as a number, or 0 for an empty list
 * @returns 8, or 12 with a hop
 */
export function encodeGueInto(data: DataView, offset: number, protocol: number, hop = 0): number {
  const hops = hop === 0 ? 0 : 1;
  data.setUint32(offset, ((1 + hops) << 24) | (protocol << 16));
  data.setUint32(offset + GUE_AT_VERSION, hops);
  if (hops === 1) data.setUint32(offset + GUE_AT_HOPS, hop);
  return GUE_HEADER + GUE_PRIVATE + hops * GUE_HOP;
}

/**
 * Writes a header with any list of hops.
 * @param hops addresses as numbers, at most 30; @param nextHop 0 .. hops.length
 * @param forwardSyn @param lastHopGre 1 to set the bit
 * @returns 8 + 4 per hop
 */
export function encodeGueHopsInto(
  data: DataView,
  offset: number,
  protocol: number,
  hops: ArrayLike<number>,
  nextHop: number,
  forwardSyn = 0,
  lastHopGre = 0,
): number {
  const flags = (forwardSyn === 0 ? 0 : FORWARD_SYN) | (lastHopGre === 0 ? 0 : LAST_HOP_GRE);
  data.setUint32(offset, ((1 + hops.length) << 24) | (protocol << 16));
  data.setUint32(offset + GUE_AT_VERSION, (flags << 24) | (nextHop << 8) | hops.length);
  for (let i = 0; i < hops.length; i++) data.setUint32(offset + GUE_AT_HOPS + (i << 2), hops[i]);
  return GUE_HEADER + GUE_PRIVATE + hops.length * GUE_HOP;
}
