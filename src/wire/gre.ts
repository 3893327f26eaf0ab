import { checksum } from './checksum.js';
import { Reason } from './reason.js';

/**
 * Generic Routing Encapsulation.
 *
 * ```
 *  0                   1                   2                   3
 * |C| |K|S|  Reserved0      | Ver |         Protocol Type         |
 * |      Checksum (optional)      |     Reserved1 (optional)      |
 * |                         Key (optional)                        |
 * |                   Sequence Number (optional)                  |
 * ```
 *
 * Sources: RFC 2784; RFC 2890 (key and sequence number).
 */

/** Without optional fields. */
export const GRE_HEADER = 4;

export const GRE_AT_FLAGS = 0;
export const GRE_AT_PROTOCOL_TYPE = 2;
export const GRE_AT_CHECKSUM = 4;

export const GRE_CHECKSUM_PRESENT = 0x8000;
export const GRE_KEY_PRESENT = 0x2000;
export const GRE_SEQUENCE_PRESENT = 0x1000;

/** Protocol types are EtherTypes. */
export const GRE_PROTOCOL_IPV4 = 0x0800;
export const GRE_PROTOCOL_IPV6 = 0x86dd;

/** Bits 1, 4 and 5: who does not know RFC 1701 must discard a packet that has one set (RFC 2784 section 2.3). */
const MUST_BE_ZERO = 0x4c00;
const VERSION_MASK = 0x0007;

/** A checked GRE header. */
export class GreView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the header. */
  offset = 0;
  /** Start of the wrapped packet. */
  payload = 0;
  /** One past its last byte: the limit given to `attach`. */
  end = 0;

  /**
   * @param limit the end of the outer IP packet
   * @returns Ok, Truncated, BadVersion (not 0: PPTP's is 1) or UnsupportedFlags
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < GRE_HEADER) return Reason.Truncated;
    const flags = data.getUint16(offset + GRE_AT_FLAGS);
    if ((flags & VERSION_MASK) !== 0) return Reason.BadVersion;
    if ((flags & MUST_BE_ZERO) !== 0) return Reason.UnsupportedFlags;
    let payload = offset + GRE_HEADER;
    if ((flags & GRE_CHECKSUM_PRESENT) !== 0) payload += 4;
    if ((flags & GRE_KEY_PRESENT) !== 0) payload += 4;
    if ((flags & GRE_SEQUENCE_PRESENT) !== 0) payload += 4;
    if (payload > limit) return Reason.Truncated;
    this.data = data;
    this.offset = offset;
    this.payload = payload;
    this.end = limit;
    return Reason.Ok;
  }

  /** In bytes, with the optional fields. */
  get headerLength(): number {
    return this.payload - this.offset;
  }

  get protocolType(): number {
    return this.data.getUint16(this.offset + GRE_AT_PROTOCOL_TYPE);
  }

  get hasChecksum(): boolean {
    return (this.flags & GRE_CHECKSUM_PRESENT) !== 0;
  }

  get hasKey(): boolean {
    return (this.flags & GRE_KEY_PRESENT) !== 0;
  }

  get hasSequence(): boolean {
    return (this.flags & GRE_SEQUENCE_PRESENT) !== 0;
  }

  /** 0 when there is none. */
  get checksum(): number {
    return this.hasChecksum ? this.data.getUint16(this.offset + GRE_AT_CHECKSUM) : 0;
  }

  /** 0 when there is none. */
  get key(): number {
    if (!this.hasKey) return 0;
    return this.data.getUint32(this.offset + GRE_HEADER + (this.hasChecksum ? 4 : 0));
  }

  /** 0 when there is none. The last optional field. */
  get sequence(): number {
    return this.hasSequence ? this.data.getUint32(this.payload - 4) : 0;
  }

  /** Over header and payload: Ok, also when there is no checksum, or BadChecksum. */
  verifyChecksum(): Reason {
    if (!this.hasChecksum) return Reason.Ok;
    return checksum(this.data, this.offset, this.end - this.offset) === 0 ? Reason.Ok : Reason.BadChecksum;
  }

  private get flags(): number {
    return this.data.getUint16(this.offset + GRE_AT_FLAGS);
  }
}

/** Writes a header without optional fields. @returns 4 */
export function encodeGreInto(data: DataView, offset: number, protocolType: number): number {
  data.setUint32(offset, protocolType);
  return GRE_HEADER;
}
