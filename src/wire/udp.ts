import { udpUpdate16, udpUpdate32 } from './checksum.js';
import { Reason } from './reason.js';

/**
 * The UDP header.
 *
 * ```
 *  0                   1                   2                   3
 * |          Source Port          |       Destination Port        |
 * |            Length             |           Checksum            |
 * ```
 *
 * A checksum of 0x0000 means that there is none: allowed over IPv4, over IPv6 only in tunnels.
 *
 * Sources: RFC 768; RFC 8200 section 8.1, RFC 6935 and RFC 6936 (zero checksums over IPv6).
 */

export const UDP_HEADER = 8;

export const UDP_AT_SOURCE_PORT = 0;
export const UDP_AT_DESTINATION_PORT = 2;
export const UDP_AT_LENGTH = 4;
export const UDP_AT_CHECKSUM = 6;

/** A checked UDP header. Setters keep the checksum right: none stays none, and a wrong one stays wrong. */
export class UdpView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the header. */
  offset = 0;
  /** One past the payload's last byte by UDP's own length field. */
  end = 0;

  /**
   * @param limit one past the last byte present: the end of the IP packet
   * @returns Ok, Truncated, or BadLength (length below 8 or beyond the limit)
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < UDP_HEADER) return Reason.Truncated;
    const length = data.getUint16(offset + UDP_AT_LENGTH);
    if (length < UDP_HEADER || offset + length > limit) return Reason.BadLength;
    this.data = data;
    this.offset = offset;
    this.end = offset + length;
    return Reason.Ok;
  }

  get sourcePort(): number {
    return this.data.getUint16(this.offset + UDP_AT_SOURCE_PORT);
  }

  get destinationPort(): number {
    return this.data.getUint16(this.offset + UDP_AT_DESTINATION_PORT);
  }

  /** Of header and payload. */
  get length(): number {
    return this.data.getUint16(this.offset + UDP_AT_LENGTH);
  }

  /** 0 when there is none. */
  get checksum(): number {
    return this.data.getUint16(this.offset + UDP_AT_CHECKSUM);
  }

  /** Start of the payload. */
  get payload(): number {
    return this.offset + UDP_HEADER;
  }

  setSourcePort(port: number): void {
    this.replace16(UDP_AT_SOURCE_PORT, port);
  }

  setDestinationPort(port: number): void {
    this.replace16(UDP_AT_DESTINATION_PORT, port);
  }

  /**
   * Takes into account that 16 bits under the checksum changed from one value to another: bytes of the payload that
   * start at an even distance from the header, or of an address.
   */
  patchChecksum16(from: number, to: number): void {
    this.data.setUint16(this.offset + UDP_AT_CHECKSUM, udpUpdate16(this.checksum, from, to));
  }

  /** The same for 32 bits, such as an IPv4 address. */
  patchChecksum32(from: number, to: number): void {
    this.data.setUint16(this.offset + UDP_AT_CHECKSUM, udpUpdate32(this.checksum, from, to));
  }

  private replace16(field: number, value: number): void {
    const before = this.data.getUint16(this.offset + field);
    this.data.setUint16(this.offset + field, value);
    this.patchChecksum16(before, value);
  }
}

/**
 * @param length of header and payload
 * @param checksum as stored; 0 for none. To have it computed, write the whole packet, parse it and call
 *   `writeTransportChecksum`.
 * @returns 8
 */
export function encodeUdpInto(
  data: DataView,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  length: number,
  checksum = 0,
): number {
  data.setUint32(offset + UDP_AT_SOURCE_PORT, (sourcePort << 16) | destinationPort);
  data.setUint32(offset + UDP_AT_LENGTH, (length << 16) | checksum);
  return UDP_HEADER;
}
