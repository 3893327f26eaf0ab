import { Reason } from './reason.js';

/**
 * The walk from an IP header to its transport header, for both families: the first thing done to every packet.
 *
 * Contract: `parse` checks lengths once. When it returns `Reason.Ok`, `offset <= transport <= end` and all bytes
 * in `[offset, end)` may be read. The transport header itself is not checked here.
 *
 * Sources: RFC 791 (IPv4), RFC 8200 (IPv6 and its extension headers), RFC 4302 (AH length), RFC 6946 (atomic
 * fragments).
 */

export const IP_PROTOCOL_ICMP = 1;
export const IP_PROTOCOL_IPIP = 4;
export const IP_PROTOCOL_TCP = 6;
export const IP_PROTOCOL_UDP = 17;
export const IP_PROTOCOL_IPV6 = 41;
export const IP_PROTOCOL_GRE = 47;
export const IP_PROTOCOL_ESP = 50;
export const IP_PROTOCOL_AH = 51;
export const IP_PROTOCOL_ICMPV6 = 58;
export const IP_PROTOCOL_NONE = 59;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
const MOBILITY = 135;
const HIP = 139;
const SHIM6 = 140;

/**
 * `offset & OFFSET_BITS` is `offset`: no arena is a gibibyte large. But with it the optimiser knows that sums of offsets
 * and header lengths stay below 2^31, and leaves out a check at every one of them.
 */
export const OFFSET_BITS = 0x3fffffff;

/** Longer chains are refused: nobody sends them, and each header costs a step. */
export const MAX_EXTENSION_HEADERS = 8;

/** What part of a datagram a packet carries. */
export const FragmentKind = {
  /** A whole datagram (an atomic IPv6 fragment counts as whole). */
  None: 0,
  /** Offset 0, more to come: the transport header is here. */
  First: 1,
  /** Offset > 0: no transport header. */
  Later: 2,
} as const;
export type FragmentKind = (typeof FragmentKind)[keyof typeof FragmentKind];

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const REASON = Reason;
const FRAGMENT_KIND = FragmentKind;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const ICMPV6 = IP_PROTOCOL_ICMPV6;

/**
 * One parsed IP packet, re-used for packet after packet. Offsets are absolute in `data`.
 */
export class IpPacket {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the IP header. */
  offset = 0;
  /** 4 or 6. */
  version = 0;
  /** Transport protocol (RFC 790 numbers), after any IPv6 extension headers. */
  protocol = 0;
  /** Start of the transport header, or of the fragment's payload when `fragment` is `Later`. */
  transport = 0;
  /** One past the packet's last byte by its own length field; bytes behind it are padding. */
  end = 0;
  fragment: FragmentKind = FragmentKind.None;
  /** Of fragments only: what they have in common with the others of their datagram, as an int32 (IPv4: 16 bits). */
  identification = 0;

  /**
   * @param data bytes; @param offset start of the IP header; @param limit one past the last byte present
   */
  parse(data: DataView, offset: number, limit: number): Reason {
    return this.walk(data, offset, limit, false);
  }

  /**
   * The same for a packet quoted by an ICMP error, which is cut short: the length field may reach beyond `limit`,
   * and `end` is then `limit` (RFC 792, RFC 4443 section 2.4).
   */
  parseQuoted(data: DataView, offset: number, limit: number): Reason {
    return this.walk(data, offset, limit, true);
  }

  private walk(data: DataView, offset: number, limit: number, cut: boolean): Reason {
    if (limit - offset < 20) return REASON.Truncated;
    // Storing a pointer costs a write barrier, and the arena seldom changes.
    if (this.data !== data) this.data = data;
    this.offset = offset;
    const first = data.getInt32(offset);
    // One function per family: small enough for the optimiser to inline.
    if (first >>> 28 === 4) return this.walkIpv4(data, offset, limit, first, cut);
    if (first >>> 28 === 6) return this.walkIpv6(data, offset, limit, cut);
    return REASON.BadVersion;
  }

  private walkIpv4(data: DataView, offset: number, limit: number, first: number, cut: boolean): Reason {
    const headerLength = (first >>> 22) & 0x3c;
    const totalLength = first & 0xffff;
    if (headerLength < 20) return REASON.BadHeaderLength;
    if (offset + headerLength > limit) return REASON.Truncated;
    if (totalLength < headerLength) return REASON.BadLength;
    let end = offset + totalLength;
    if (end > limit) {
      if (!cut) return REASON.BadLength;
      end = limit;
    }
    // Flags and fragment offset, TTL, protocol: one read.
    const fourth = data.getInt32(offset + 6);
    const flagsAndOffset = fourth >>> 16;
    this.version = 4;
    this.protocol = fourth & 0xff;
    this.transport = offset + headerLength;
    this.end = end;
    // 0x1fff: fragment offset; 0x2000: more fragments.
    if ((flagsAndOffset & 0x3fff) === 0) {
      this.fragment = FRAGMENT_KIND.None;
    } else {
      this.fragment = (flagsAndOffset & 0x1fff) === 0 ? FRAGMENT_KIND.First : FRAGMENT_KIND.Later;
      this.identification = data.getUint16(offset + 4);
    }
    return REASON.Ok;
  }

  private walkIpv6(data: DataView, offset: number, limit: number, cut: boolean): Reason {
    if (limit - offset < 40) return REASON.Truncated;
    let end = offset + 40 + data.getUint16(offset + 4);
    if (end > limit) {
      if (!cut) return REASON.BadLength;
      end = limit;
    }
    this.version = 6;
    this.end = end;
    this.fragment = FRAGMENT_KIND.None;
    const next = data.getUint8(offset + 6);
    if (next === TCP || next === UDP || next === ICMPV6) {
      this.protocol = next;
      this.transport = offset + 40;
      return REASON.Ok;
    }
    return this.walkExtensions(data, next, offset + 40, end);
  }

  private walkExtensions(data: DataView, first: number, start: number, end: number): Reason {
    let next = first;
    let at = start;
    for (let count = 0; ; count++) {
      if (!isExtension(next)) break;
      if (count === MAX_EXTENSION_HEADERS) return Reason.ExtensionChainTooLong;
      if (at + 8 > end) return Reason.Truncated;
      const following = data.getUint8(at);
      if (next === FRAGMENT) {
        const offsetAndMore = data.getUint16(at + 2);
        this.identification = data.getInt32(at + 4);
        at += 8;
        if (offsetAndMore >>> 3 !== 0) {
          // What follows is the middle of a datagram: nothing in it may be read as a header.
          this.fragment = FragmentKind.Later;
          this.protocol = following;
          this.transport = at;
          return Reason.Ok;
        }
        if ((offsetAndMore & 1) !== 0) this.fragment = FragmentKind.First;
      } else if (next === IP_PROTOCOL_AH) {
        at += (data.getUint8(at + 1) + 2) << 2;
      } else {
        at += (data.getUint8(at + 1) + 1) << 3;
      }
      if (at > end) return Reason.Truncated;
      next = following;
    }
    this.protocol = next;
    this.transport = at;
    return Reason.Ok;
  }
}

function isExtension(next: number): boolean {
  return (
    next === HOP_BY_HOP ||
    next === ROUTING ||
    next === FRAGMENT ||
    next === DESTINATION_OPTIONS ||
    next === IP_PROTOCOL_AH ||
    next === MOBILITY ||
    next === HIP ||
    next === SHIM6
  );
}
