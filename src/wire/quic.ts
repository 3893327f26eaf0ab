import { writeBytes } from './bytes.js';
import { Reason } from './reason.js';

/**
 * QUIC headers as far as they can be read without keys: what all versions have in common, and what versions 1 and 2 put
 * behind it.
 *
 * ```
 * Long header                                    Short header
 * |1|F|Typ|proto| Version (32 bits)              |0|F|S| protected | Destination Connection ID ...
 * | DCID Len (8)| Destination Connection ID ...
 * | SCID Len (8)| Source Connection ID ...
 * ```
 *
 * The length of a short header's connection ID is not on the wire: whoever issued it knows. The fixed bit F may be 0 on
 * purpose, so nothing here looks at it before it accepts a packet.
 *
 * Sources: RFC 8999 (all versions); RFC 9000 sections 16 and 17 (version 1); RFC 9369 section 3.2 (version 2 numbers the
 * types differently); RFC 9287 (the fixed bit).
 */

export const QUIC_VERSION_NEGOTIATION = 0x00000000;
export const QUIC_V1 = 0x00000001;
export const QUIC_V2 = 0x6b3343cf;

/** Of a connection ID in versions 1 and 2; other versions may have up to 255 bytes. */
export const QUIC_MAX_CID = 20;

export const QUIC_AT_FIRST = 0;
/** Long header. */
export const QUIC_AT_VERSION = 1;
export const QUIC_AT_DCID_LENGTH = 5;
export const QUIC_AT_DCID = 6;
/** Short header. */
export const QUIC_SHORT_AT_DCID = 1;
export const QUIC_RETRY_TAG = 16;

const LONG = 0x80;
const FIXED = 0x40;
const SPIN = 0x20;
/** A long header with two empty connection IDs. */
const LEAST_LONG_HEADER = 7;

/** What a packet with a long header is, whatever number its version has for that. */
export const QuicType = {
  Initial: 0,
  ZeroRtt: 1,
  Handshake: 2,
  Retry: 3,
  VersionNegotiation: 4,
  /** Of a version whose types are not known here. */
  Unknown: 5,
} as const;
export type QuicType = (typeof QuicType)[keyof typeof QuicType];

/** Names in the order of the numbers. */
export const QUIC_TYPE_NAMES: readonly string[] = [
  'Initial',
  '0-RTT',
  'Handshake',
  'Retry',
  'Version Negotiation',
  'unknown',
];

/** Does the first byte of a UDP payload belong to a long header? */
export function isQuicLong(firstByte: number): boolean {
  return (firstByte & LONG) !== 0;
}

/** A checked long header as all versions have it: everything up to the source connection ID. */
export class QuicLongView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the packet. */
  offset = 0;
  dcidLength = 0;
  /** Where the bytes of the source connection ID lie. */
  scidOffset = 0;
  scidLength = 0;
  /** One past the last byte present: the limit given to `attach`. Other packets may follow this one. */
  end = 0;

  /**
   * @param limit one past the UDP payload's last byte
   * @returns Ok, Truncated, UnknownType (a short header), or BadLength (a connection ID longer than 20 bytes in version
   *   1 or 2)
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < LEAST_LONG_HEADER) return Reason.Truncated;
    if (!isQuicLong(data.getUint8(offset))) return Reason.UnknownType;
    const dcidLength = data.getUint8(offset + QUIC_AT_DCID_LENGTH);
    const scidOffset = offset + QUIC_AT_DCID + dcidLength + 1;
    if (scidOffset > limit) return Reason.Truncated;
    const scidLength = data.getUint8(scidOffset - 1);
    if (scidOffset + scidLength > limit) return Reason.Truncated;
    if (dcidLength > QUIC_MAX_CID || scidLength > QUIC_MAX_CID) {
      const version = data.getUint32(offset + QUIC_AT_VERSION);
      if (version === QUIC_V1 || version === QUIC_V2) return Reason.BadLength;
    }
    this.data = data;
    this.offset = offset;
    this.dcidLength = dcidLength;
    this.scidOffset = scidOffset;
    this.scidLength = scidLength;
    this.end = limit;
    return Reason.Ok;
  }

  get version(): number {
    return this.data.getUint32(this.offset + QUIC_AT_VERSION);
  }

  get type(): QuicType {
    return quicType(this.version, this.data.getUint8(this.offset));
  }

  /** 0 or 1. Only versions 1 and 2 have it. */
  get fixedBit(): number {
    return (this.data.getUint8(this.offset) & FIXED) === 0 ? 0 : 1;
  }

  /** Where the bytes of the destination connection ID lie. */
  get dcidOffset(): number {
    return this.offset + QUIC_AT_DCID;
  }

  /** Start of what the version defines: token and length, or the list of versions. */
  get payload(): number {
    return this.scidOffset + this.scidLength;
  }
}

/** A checked short header, with a destination connection ID of a length that the reader knows. */
export class QuicShortView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the packet. */
  offset = 0;
  dcidLength = 0;
  /** One past the last byte: the limit given to `attach`. No other packet can follow this one. */
  end = 0;

  /**
   * @param limit one past the UDP payload's last byte; @param dcidLength of the connection IDs that the receiver issues
   * @returns Ok, Truncated, or UnknownType (a long header)
   */
  attach(data: DataView, offset: number, limit: number, dcidLength: number): Reason {
    if (limit - offset < QUIC_SHORT_AT_DCID + dcidLength) return Reason.Truncated;
    if (isQuicLong(data.getUint8(offset))) return Reason.UnknownType;
    this.data = data;
    this.offset = offset;
    this.dcidLength = dcidLength;
    this.end = limit;
    return Reason.Ok;
  }

  /** 0 or 1. */
  get fixedBit(): number {
    return (this.data.getUint8(this.offset) & FIXED) === 0 ? 0 : 1;
  }

  /** The latency spin bit (RFC 9000 section 17.4): 0 or 1. */
  get spinBit(): number {
    return (this.data.getUint8(this.offset) & SPIN) === 0 ? 0 : 1;
  }

  /** Where the bytes of the destination connection ID lie. */
  get dcidOffset(): number {
    return this.offset + QUIC_SHORT_AT_DCID;
  }

  /** Start of the protected packet number and payload. */
  get payload(): number {
    return this.offset + QUIC_SHORT_AT_DCID + this.dcidLength;
  }
}

/**
 * A checked packet of version 1 or 2 with a long header, to its last byte: with the token of an Initial or a Retry, and
 * the length that tells where the next packet of the same datagram starts.
 */
export class QuicPacketView {
  /** Attached to the same packet; its `end` is the datagram's. */
  header = new QuicLongView();
  tokenOffset = 0;
  /** In bytes; 0 for types without a token. */
  tokenLength = 0;
  /** Start of the protected packet number, or of a Retry's integrity tag. */
  payload = 0;
  /** One past the packet's last byte. */
  end = 0;
  /** Takes the place of `header` once all is checked. */
  private spare = new QuicLongView();

  /**
   * @param limit one past the UDP payload's last byte
   * @returns what {@link QuicLongView} does; UnknownType also for version negotiation and for versions other than 1 and
   *   2; BadLength also where the token or the packet goes beyond the limit
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    const header = this.spare;
    const reason = header.attach(data, offset, limit);
    if (reason !== Reason.Ok) return reason;
    const { type } = header;
    if (type > QuicType.Retry) return Reason.UnknownType;
    if (type === QuicType.Retry) return this.attachRetry(header, limit);
    let at = header.payload;
    let tokenLength = 0;
    if (type === QuicType.Initial) {
      const size = quicVarintSize(data, at, limit);
      if (size === 0) return Reason.Truncated;
      tokenLength = quicVarint(data, at);
      at += size;
      if (tokenLength > limit - at) return Reason.BadLength;
    }
    const tokenOffset = at;
    at += tokenLength;
    const size = quicVarintSize(data, at, limit);
    if (size === 0) return Reason.Truncated;
    const length = quicVarint(data, at);
    at += size;
    if (length > limit - at) return Reason.BadLength;
    return this.accept(header, tokenOffset, tokenLength, at, at + length);
  }

  /** A Retry has no length: it fills its datagram, and its token is what lies between header and tag. */
  private attachRetry(header: QuicLongView, limit: number): Reason {
    const { payload } = header;
    const tag = limit - QUIC_RETRY_TAG;
    return tag < payload ? Reason.Truncated : this.accept(header, payload, tag - payload, tag, limit);
  }

  private accept(
    header: QuicLongView,
    tokenOffset: number,
    tokenLength: number,
    payload: number,
    end: number,
  ): Reason {
    this.spare = this.header;
    this.header = header;
    this.tokenOffset = tokenOffset;
    this.tokenLength = tokenLength;
    this.payload = payload;
    this.end = end;
    return Reason.Ok;
  }
}

/** @param firstByte of a long header */
export function quicType(version: number, firstByte: number): QuicType {
  const bits = (firstByte >>> 4) & 3;
  switch (version) {
    case QUIC_VERSION_NEGOTIATION:
      return QuicType.VersionNegotiation;
    case QUIC_V1:
      return bits as QuicType;
    case QUIC_V2:
      // One up, in a circle: Retry is 0, Initial 1.
      return ((bits + 3) & 3) as QuicType;
    default:
      return QuicType.Unknown;
  }
}

/** Bytes of the variable-length integer at `at` (RFC 9000 section 16): 1, 2, 4 or 8; 0 when they are not all here. */
export function quicVarintSize(data: DataView, at: number, limit: number): number {
  if (at >= limit) return 0;
  const size = 1 << (data.getUint8(at) >>> 6);
  return at + size > limit ? 0 : size;
}

/** The variable-length integer at `at`, all of it present; above 2^53 rounded. */
export function quicVarint(data: DataView, at: number): number {
  const first = data.getUint8(at);
  switch (first >>> 6) {
    case 0:
      return first;
    case 1:
      return data.getUint16(at) & 0x3fff;
    case 2:
      return data.getUint32(at) & 0x3fffffff;
    default:
      return (data.getUint32(at) & 0x3fffffff) * 2 ** 32 + data.getUint32(at + 4);
  }
}

/** @param value 0 .. 2^53 - 1; @returns bytes written, as few as the value takes: 1, 2, 4 or 8 */
export function encodeQuicVarintInto(data: DataView, offset: number, value: number): number {
  if (value < 2 ** 6) {
    data.setUint8(offset, value);
    return 1;
  }
  if (value < 2 ** 14) {
    data.setUint16(offset, 0x4000 | value);
    return 2;
  }
  if (value < 2 ** 30) {
    data.setUint32(offset, 0x80000000 | value);
    return 4;
  }
  data.setUint32(offset, 0xc0000000 | Math.floor(value / 2 ** 32));
  data.setUint32(offset + 4, value % 2 ** 32);
  return 8;
}

/**
 * Writes a long header up to the source connection ID, with the fixed bit set and the protected bits zero.
 * @param type only told apart in versions 1 and 2
 * @param dcid @param scid at most 255 bytes each
 * @returns 7 and both lengths
 */
export function encodeQuicLongInto(
  data: DataView,
  offset: number,
  version: number,
  type: QuicType,
  dcid: Uint8Array,
  scid: Uint8Array,
): number {
  const bits = version === QUIC_V2 ? type + 1 : type;
  data.setUint8(offset, LONG | FIXED | ((bits & 3) << 4));
  data.setUint32(offset + QUIC_AT_VERSION, version);
  data.setUint8(offset + QUIC_AT_DCID_LENGTH, dcid.length);
  writeBytes(data, offset + QUIC_AT_DCID, dcid);
  const at = offset + QUIC_AT_DCID + dcid.length;
  data.setUint8(at, scid.length);
  writeBytes(data, at + 1, scid);
  return LEAST_LONG_HEADER + dcid.length + scid.length;
}

/** Writes a short header up to the connection ID, with the fixed bit set and all others zero. @returns 1 and its length */
export function encodeQuicShortInto(data: DataView, offset: number, dcid: Uint8Array): number {
  data.setUint8(offset, FIXED);
  writeBytes(data, offset + QUIC_SHORT_AT_DCID, dcid);
  return QUIC_SHORT_AT_DCID + dcid.length;
}
