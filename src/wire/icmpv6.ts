import { writeBytes } from './bytes.js';
import { checksum, pseudoHeaderSum6 } from './checksum.js';
import { IP_PROTOCOL_ICMPV6 } from './ip.js';
import { Reason } from './reason.js';

/**
 * ICMPv6: echo, and the errors that quote a packet.
 *
 * ```
 *  0                   1                   2                   3
 * |     Type      |     Code      |           Checksum            |
 * |   Identifier  /  Sequence, or MTU, or pointer, or unused      |
 * |             Echo data, or the quoted packet ...               |
 * ```
 *
 * Unlike ICMP it has a pseudo-header under its checksum. An error quotes as much of the packet as fits into 1280
 * bytes, extension headers included.
 *
 * Source: RFC 4443.
 */

export const ICMPV6_HEADER = 8;

export const ICMPV6_AT_TYPE = 0;
export const ICMPV6_AT_CODE = 1;
export const ICMPV6_AT_CHECKSUM = 2;
/** The four bytes whose meaning depends on the type. */
export const ICMPV6_AT_REST = 4;
export const ICMPV6_AT_MTU = 4;
export const ICMPV6_AT_IDENTIFIER = 4;
export const ICMPV6_AT_SEQUENCE = 6;

export const ICMPV6_DESTINATION_UNREACHABLE = 1;
export const ICMPV6_PACKET_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;

/** Codes of destination unreachable. */
export const ICMPV6_NO_ROUTE = 0;
export const ICMPV6_ADMINISTRATIVELY_PROHIBITED = 1;
export const ICMPV6_ADDRESS_UNREACHABLE = 3;
export const ICMPV6_PORT_UNREACHABLE = 4;

/** Codes of time exceeded. */
export const ICMPV6_HOP_LIMIT_EXCEEDED = 0;
export const ICMPV6_REASSEMBLY_EXCEEDED = 1;

/**
 * Is this an error that the sender of the quoted packet has to hear of? Types below 128 are errors by definition, but
 * only these four say what they quote.
 */
export function isIcmpv6Error(type: number): boolean {
  return type >= ICMPV6_DESTINATION_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
}

/** A checked ICMPv6 message. What its second word means is for the reader of `type` to know. */
export class Icmpv6View {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the message. */
  offset = 0;
  /** One past its last byte: the limit given to `attach`. */
  end = 0;

  /** @param limit the end of the IP packet; @returns Ok or Truncated */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < ICMPV6_HEADER) return Reason.Truncated;
    this.data = data;
    this.offset = offset;
    this.end = limit;
    return Reason.Ok;
  }

  get type(): number {
    return this.data.getUint8(this.offset + ICMPV6_AT_TYPE);
  }

  get code(): number {
    return this.data.getUint8(this.offset + ICMPV6_AT_CODE);
  }

  get checksum(): number {
    return this.data.getUint16(this.offset + ICMPV6_AT_CHECKSUM);
  }

  /** All four bytes of the second word. */
  get rest(): number {
    return this.data.getUint32(this.offset + ICMPV6_AT_REST);
  }

  /** Of an echo. */
  get identifier(): number {
    return this.data.getUint16(this.offset + ICMPV6_AT_IDENTIFIER);
  }

  /** Of an echo. */
  get sequence(): number {
    return this.data.getUint16(this.offset + ICMPV6_AT_SEQUENCE);
  }

  get isError(): boolean {
    return isIcmpv6Error(this.type);
  }

  /** Of "packet too big": 32 bits, and anybody may have written them. */
  get mtu(): number {
    return this.data.getUint32(this.offset + ICMPV6_AT_MTU);
  }

  /** Where the quoted packet of an error (or the data of an echo) starts; it goes on to `end`. */
  get quotedOffset(): number {
    return this.offset + ICMPV6_HEADER;
  }

  /**
   * @param addresses source and destination in the bytes given to `attach`, 32 bytes: 8 bytes into the IPv6 header
   * @returns Ok or BadChecksum
   */
  verifyChecksum(addresses: number): Reason {
    const length = this.end - this.offset;
    const pseudo = pseudoHeaderSum6(this.data, addresses, IP_PROTOCOL_ICMPV6, length);
    return checksum(this.data, this.offset, length, pseudo) === 0 ? Reason.Ok : Reason.BadChecksum;
  }
}

/**
 * @param addresses where source and destination already lie in `data`, for the pseudo-header: 8 bytes into the IPv6
 *   header
 * @param type echo request or reply
 * @returns bytes written: 8 and the payload
 */
export function encodeIcmpv6EchoInto(
  data: DataView,
  offset: number,
  addresses: number,
  type: number,
  identifier: number,
  sequence: number,
  payload: Uint8Array,
): number {
  return encodeIcmpv6Into(data, offset, addresses, type, 0, (identifier << 16) | sequence, payload);
}

/**
 * @param addresses as for {@link encodeIcmpv6EchoInto}
 * @param rest the second word: the MTU for "packet too big", the pointer for a parameter problem, else 0
 * @param quote the packet that the error is about
 * @returns bytes written: 8 and the quote
 */
export function encodeIcmpv6ErrorInto(
  data: DataView,
  offset: number,
  addresses: number,
  type: number,
  code: number,
  rest: number,
  quote: Uint8Array,
): number {
  return encodeIcmpv6Into(data, offset, addresses, type, code, rest, quote);
}

function encodeIcmpv6Into(
  data: DataView,
  offset: number,
  addresses: number,
  type: number,
  code: number,
  rest: number,
  body: Uint8Array,
): number {
  const length = ICMPV6_HEADER + body.length;
  data.setUint32(offset, (type << 24) | (code << 16));
  data.setUint32(offset + ICMPV6_AT_REST, rest);
  writeBytes(data, offset + ICMPV6_HEADER, body);
  const pseudo = pseudoHeaderSum6(data, addresses, IP_PROTOCOL_ICMPV6, length);
  data.setUint16(offset + ICMPV6_AT_CHECKSUM, checksum(data, offset, length, pseudo));
  return length;
}
