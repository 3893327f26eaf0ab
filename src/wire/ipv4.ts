import { checksum, fold, update16, update32 } from './checksum.js';
import { type HeaderOption, headerOptions } from './options.js';
import { Reason } from './reason.js';

/**
 * The IPv4 header.
 *
 * ```
 *  0                   1                   2                   3
 * |Version|  IHL  |      TOS      |         Total Length          |
 * |        Identification         |Flags|    Fragment Offset      |
 * |      TTL      |   Protocol    |        Header Checksum        |
 * |                        Source Address                         |
 * |                      Destination Address                      |
 * |                    Options (0 to 40 bytes)                    |
 * ```
 *
 * Sources: RFC 791; RFC 2474 and RFC 3168 (TOS as DSCP and ECN); RFC 6864 (identification).
 */

/** Without options. */
export const IPV4_HEADER = 20;

export const IPV4_AT_TOS = 1;
export const IPV4_AT_TOTAL_LENGTH = 2;
export const IPV4_AT_IDENTIFICATION = 4;
export const IPV4_AT_FLAGS = 6;
export const IPV4_AT_TTL = 8;
export const IPV4_AT_PROTOCOL = 9;
export const IPV4_AT_CHECKSUM = 10;
export const IPV4_AT_SOURCE = 12;
export const IPV4_AT_DESTINATION = 16;
export const IPV4_AT_OPTIONS = 20;

/** Flags, in the 16-bit word they share with the fragment offset. */
export const IPV4_DF = 0x4000;
export const IPV4_MF = 0x2000;
const FRAGMENT_OFFSET_MASK = 0x1fff;

/** A checked IPv4 header. The source, destination and TTL setters keep the header checksum right. */
export class Ipv4View {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the header. */
  offset = 0;
  /** Start of the payload. */
  payload = 0;
  /** One past the last byte by the total length field. */
  end = 0;

  /**
   * @param limit one past the last byte present
   * @returns Ok; Truncated, BadVersion, BadHeaderLength (IHL below 5) or BadLength (total length shorter than the
   *   header or longer than what is present). The checksum is not looked at.
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < IPV4_HEADER) return Reason.Truncated;
    const first = data.getUint8(offset);
    if (first >>> 4 !== 4) return Reason.BadVersion;
    const headerLength = (first & 0x0f) << 2;
    if (headerLength < IPV4_HEADER) return Reason.BadHeaderLength;
    if (offset + headerLength > limit) return Reason.Truncated;
    const totalLength = data.getUint16(offset + IPV4_AT_TOTAL_LENGTH);
    if (totalLength < headerLength || offset + totalLength > limit) return Reason.BadLength;
    this.data = data;
    this.offset = offset;
    this.payload = offset + headerLength;
    this.end = offset + totalLength;
    return Reason.Ok;
  }

  /** In bytes, with options. */
  get headerLength(): number {
    return this.payload - this.offset;
  }

  /** The whole byte: DSCP in the upper six bits, ECN in the lower two. */
  get tos(): number {
    return this.data.getUint8(this.offset + IPV4_AT_TOS);
  }

  get totalLength(): number {
    return this.data.getUint16(this.offset + IPV4_AT_TOTAL_LENGTH);
  }

  get identification(): number {
    return this.data.getUint16(this.offset + IPV4_AT_IDENTIFICATION);
  }

  get dontFragment(): boolean {
    return (this.data.getUint16(this.offset + IPV4_AT_FLAGS) & IPV4_DF) !== 0;
  }

  get moreFragments(): boolean {
    return (this.data.getUint16(this.offset + IPV4_AT_FLAGS) & IPV4_MF) !== 0;
  }

  /** In bytes (the wire counts in units of 8). */
  get fragmentOffset(): number {
    return (this.data.getUint16(this.offset + IPV4_AT_FLAGS) & FRAGMENT_OFFSET_MASK) << 3;
  }

  /** First, middle or last part of a datagram that was cut. */
  get isFragment(): boolean {
    return (this.data.getUint16(this.offset + IPV4_AT_FLAGS) & (IPV4_MF | FRAGMENT_OFFSET_MASK)) !== 0;
  }

  get ttl(): number {
    return this.data.getUint8(this.offset + IPV4_AT_TTL);
  }

  get protocol(): number {
    return this.data.getUint8(this.offset + IPV4_AT_PROTOCOL);
  }

  get checksum(): number {
    return this.data.getUint16(this.offset + IPV4_AT_CHECKSUM);
  }

  /** As a number in host order. */
  get source(): number {
    return this.data.getUint32(this.offset + IPV4_AT_SOURCE);
  }

  get destination(): number {
    return this.data.getUint32(this.offset + IPV4_AT_DESTINATION);
  }

  /** Ok or BadChecksum. */
  verifyChecksum(): Reason {
    return checksum(this.data, this.offset, this.headerLength) === 0 ? Reason.Ok : Reason.BadChecksum;
  }

  /** Allocates: for cold paths. */
  options(): Generator<HeaderOption> {
    return headerOptions(this.data, this.offset + IPV4_AT_OPTIONS, this.payload);
  }

  /** Updates the header checksum, so that a wrong one stays wrong. A TCP or UDP checksum is the caller's business. */
  setSource(address: number): void {
    this.replace32(IPV4_AT_SOURCE, address);
  }

  /** Like {@link setSource}. */
  setDestination(address: number): void {
    this.replace32(IPV4_AT_DESTINATION, address);
  }

  setTtl(ttl: number): void {
    const at = this.offset + IPV4_AT_TTL;
    const before = this.data.getUint16(at);
    const after = (ttl << 8) | (before & 0xff);
    this.data.setUint16(at, after);
    this.data.setUint16(this.offset + IPV4_AT_CHECKSUM, update16(this.checksum, before, after));
  }

  private replace32(field: number, value: number): void {
    const before = this.data.getUint32(this.offset + field);
    this.data.setUint32(this.offset + field, value);
    this.data.setUint16(this.offset + IPV4_AT_CHECKSUM, update32(this.checksum, before, value));
  }
}

/**
 * Writes a header without options and with its checksum.
 * @param totalLength of header and payload, at most 65,535; @param source @param destination addresses as numbers
 * @param flagsAndOffset flags and fragment offset in units of 8 bytes, as on the wire
 * @returns 20
 */
export function encodeIpv4Into(
  data: DataView,
  offset: number,
  totalLength: number,
  protocol: number,
  source: number,
  destination: number,
  ttl = 64,
  flagsAndOffset = IPV4_DF,
  identification = 0,
  tos = 0,
): number {
  const firstWord = 0x4500 | tos;
  const ttlAndProtocol = (ttl << 8) | protocol;
  const sum =
    firstWord +
    totalLength +
    identification +
    flagsAndOffset +
    ttlAndProtocol +
    (source >>> 16) +
    (source & 0xffff) +
    (destination >>> 16) +
    (destination & 0xffff);
  data.setUint32(offset, (firstWord << 16) | totalLength);
  data.setUint32(offset + IPV4_AT_IDENTIFICATION, (identification << 16) | flagsAndOffset);
  data.setUint32(offset + IPV4_AT_TTL, (ttlAndProtocol << 16) | (~fold(sum) & 0xffff));
  data.setUint32(offset + IPV4_AT_SOURCE, source);
  data.setUint32(offset + IPV4_AT_DESTINATION, destination);
  return IPV4_HEADER;
}
