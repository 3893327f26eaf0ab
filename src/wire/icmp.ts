import { writeBytes } from './bytes.js';
import { checksum } from './checksum.js';
import { Reason } from './reason.js';

/**
 * ICMP for IPv4: echo, and the errors that quote a packet.
 *
 * ```
 *  0                   1                   2                   3
 * |     Type      |     Code      |           Checksum            |
 * |   Identifier / unused         |  Sequence / Next-Hop MTU      |
 * |             Echo data, or the quoted packet ...               |
 * ```
 *
 * An error quotes the packet that caused it: its IP header and at least the 8 bytes behind it, often more.
 *
 * Sources: RFC 792; RFC 1191 section 4 (next-hop MTU); RFC 1122 section 3.2.2 (errors and their quotes); RFC 1812
 * section 4.3.2.3 (longer quotes).
 */

export const ICMP_HEADER = 8;

export const ICMP_AT_TYPE = 0;
export const ICMP_AT_CODE = 1;
export const ICMP_AT_CHECKSUM = 2;
/** The four bytes whose meaning depends on the type. */
export const ICMP_AT_REST = 4;
export const ICMP_AT_IDENTIFIER = 4;
export const ICMP_AT_SEQUENCE = 6;
export const ICMP_AT_NEXT_HOP_MTU = 6;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_DESTINATION_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;

/** Codes of destination unreachable. */
export const ICMP_NET_UNREACHABLE = 0;
export const ICMP_HOST_UNREACHABLE = 1;
export const ICMP_PROTOCOL_UNREACHABLE = 2;
export const ICMP_PORT_UNREACHABLE = 3;
export const ICMP_FRAGMENTATION_NEEDED = 4;
export const ICMP_ADMINISTRATIVELY_PROHIBITED = 13;

/** Codes of time exceeded. */
export const ICMP_TTL_EXCEEDED = 0;
export const ICMP_REASSEMBLY_EXCEEDED = 1;

/**
 * Is this an error that the sender of the quoted packet has to hear of? Source quench is not (RFC 6633 has it
 * ignored), nor is a redirect, which concerns a host's own link.
 */
export function isIcmpError(type: number): boolean {
  return (
    type === ICMP_DESTINATION_UNREACHABLE || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETER_PROBLEM
  );
}

/** A checked ICMP message. What its second word means is for the reader of `type` and `code` to know. */
export class IcmpView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the message. */
  offset = 0;
  /** One past its last byte: the limit given to `attach`. */
  end = 0;

  /** @param limit the end of the IP packet; @returns Ok or Truncated */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < ICMP_HEADER) return Reason.Truncated;
    this.data = data;
    this.offset = offset;
    this.end = limit;
    return Reason.Ok;
  }

  get type(): number {
    return this.data.getUint8(this.offset + ICMP_AT_TYPE);
  }

  get code(): number {
    return this.data.getUint8(this.offset + ICMP_AT_CODE);
  }

  get checksum(): number {
    return this.data.getUint16(this.offset + ICMP_AT_CHECKSUM);
  }

  /** All four bytes of the second word. */
  get rest(): number {
    return this.data.getUint32(this.offset + ICMP_AT_REST);
  }

  /** Of an echo. */
  get identifier(): number {
    return this.data.getUint16(this.offset + ICMP_AT_IDENTIFIER);
  }

  /** Of an echo. */
  get sequence(): number {
    return this.data.getUint16(this.offset + ICMP_AT_SEQUENCE);
  }

  get isError(): boolean {
    return isIcmpError(this.type);
  }

  get isFragmentationNeeded(): boolean {
    return this.type === ICMP_DESTINATION_UNREACHABLE && this.code === ICMP_FRAGMENTATION_NEEDED;
  }

  /** Of "fragmentation needed"; 0 from routers older than RFC 1191. */
  get nextHopMtu(): number {
    return this.data.getUint16(this.offset + ICMP_AT_NEXT_HOP_MTU);
  }

  /** Where the quoted packet of an error (or the data of an echo) starts; it goes on to `end`. */
  get quotedOffset(): number {
    return this.offset + ICMP_HEADER;
  }

  /** Ok or BadChecksum. */
  verifyChecksum(): Reason {
    return checksum(this.data, this.offset, this.end - this.offset) === 0 ? Reason.Ok : Reason.BadChecksum;
  }
}

/** @param type echo request or reply; @returns bytes written: 8 and the payload */
export function encodeIcmpEchoInto(
  data: DataView,
  offset: number,
  type: number,
  identifier: number,
  sequence: number,
  payload: Uint8Array,
): number {
  return encodeIcmpInto(data, offset, type, 0, (identifier << 16) | sequence, payload);
}

/**
 * @param rest the second word: the next-hop MTU for "fragmentation needed", the pointer (<< 24) for a parameter
 *   problem, else 0
 * @param quote the packet that the error is about: its header and at least 8 bytes more
 * @returns bytes written: 8 and the quote
 */
export function encodeIcmpErrorInto(
  data: DataView,
  offset: number,
  type: number,
  code: number,
  rest: number,
  quote: Uint8Array,
): number {
  return encodeIcmpInto(data, offset, type, code, rest, quote);
}

function encodeIcmpInto(
  data: DataView,
  offset: number,
  type: number,
  code: number,
  rest: number,
  body: Uint8Array,
): number {
  const length = ICMP_HEADER + body.length;
  data.setUint32(offset, (type << 24) | (code << 16));
  data.setUint32(offset + ICMP_AT_REST, rest);
  writeBytes(data, offset + ICMP_HEADER, body);
  data.setUint16(offset + ICMP_AT_CHECKSUM, checksum(data, offset, length));
  return length;
}
