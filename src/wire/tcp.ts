import { update16, update32 } from './checksum.js';
import { type HeaderOption, headerOptions } from './options.js';
import { Reason } from './reason.js';

/**
 * The TCP header.
 *
 * ```
 *  0                   1                   2                   3
 * |          Source Port          |       Destination Port        |
 * |                        Sequence Number                        |
 * |                    Acknowledgment Number                      |
 * | Offset| Rsrvd |     Flags     |            Window             |
 * |           Checksum            |        Urgent Pointer         |
 * |                    Options (0 to 40 bytes)                    |
 * ```
 *
 * Source: RFC 9293 section 3.1; RFC 3168 (ECE, CWR).
 */

/** Without options. */
export const TCP_HEADER = 20;

export const TCP_AT_SOURCE_PORT = 0;
export const TCP_AT_DESTINATION_PORT = 2;
export const TCP_AT_SEQUENCE = 4;
export const TCP_AT_ACKNOWLEDGMENT = 8;
export const TCP_AT_DATA_OFFSET = 12;
export const TCP_AT_FLAGS = 13;
export const TCP_AT_WINDOW = 14;
export const TCP_AT_CHECKSUM = 16;
export const TCP_AT_URGENT = 18;
export const TCP_AT_OPTIONS = 20;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/** A checked TCP header. Setters keep the checksum right, so that a wrong one stays wrong. */
export class TcpView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the header. */
  offset = 0;
  /** Start of the payload. */
  payload = 0;
  /** One past the payload's last byte: the limit given to `attach`. */
  end = 0;

  /**
   * @param limit one past the segment's last byte: the end of the IP packet
   * @returns Ok, Truncated, or BadHeaderLength (data offset below 5)
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < TCP_HEADER) return Reason.Truncated;
    const headerLength = (data.getUint8(offset + TCP_AT_DATA_OFFSET) >>> 4) << 2;
    if (headerLength < TCP_HEADER) return Reason.BadHeaderLength;
    if (offset + headerLength > limit) return Reason.Truncated;
    this.data = data;
    this.offset = offset;
    this.payload = offset + headerLength;
    this.end = limit;
    return Reason.Ok;
  }

  get sourcePort(): number {
    return this.data.getUint16(this.offset + TCP_AT_SOURCE_PORT);
  }

  get destinationPort(): number {
    return this.data.getUint16(this.offset + TCP_AT_DESTINATION_PORT);
  }

  get sequence(): number {
    return this.data.getUint32(this.offset + TCP_AT_SEQUENCE);
  }

  get acknowledgment(): number {
    return this.data.getUint32(this.offset + TCP_AT_ACKNOWLEDGMENT);
  }

  /** In bytes, with options. */
  get headerLength(): number {
    return this.payload - this.offset;
  }

  /** The `TCP_` bits. */
  get flags(): number {
    return this.data.getUint8(this.offset + TCP_AT_FLAGS);
  }

  /** As on the wire: not scaled. */
  get window(): number {
    return this.data.getUint16(this.offset + TCP_AT_WINDOW);
  }

  get checksum(): number {
    return this.data.getUint16(this.offset + TCP_AT_CHECKSUM);
  }

  get urgentPointer(): number {
    return this.data.getUint16(this.offset + TCP_AT_URGENT);
  }

  /** Allocates: for cold paths. */
  options(): Generator<HeaderOption> {
    return headerOptions(this.data, this.offset + TCP_AT_OPTIONS, this.payload);
  }

  setSourcePort(port: number): void {
    this.replace16(TCP_AT_SOURCE_PORT, port);
  }

  setDestinationPort(port: number): void {
    this.replace16(TCP_AT_DESTINATION_PORT, port);
  }

  setSequence(sequence: number): void {
    this.replace32(TCP_AT_SEQUENCE, sequence);
  }

  setAcknowledgment(acknowledgment: number): void {
    this.replace32(TCP_AT_ACKNOWLEDGMENT, acknowledgment);
  }

  setFlags(flags: number): void {
    const offsetAndReserved = this.data.getUint8(this.offset + TCP_AT_DATA_OFFSET);
    this.replace16(TCP_AT_DATA_OFFSET, (offsetAndReserved << 8) | flags);
  }

  setWindow(window: number): void {
    this.replace16(TCP_AT_WINDOW, window);
  }

  /** Takes into account that 32 bits under the checksum, such as an IPv4 address, changed from one value to another. */
  patchChecksum32(from: number, to: number): void {
    this.data.setUint16(this.offset + TCP_AT_CHECKSUM, update32(this.checksum, from, to));
  }

  private replace16(field: number, value: number): void {
    const before = this.data.getUint16(this.offset + field);
    this.data.setUint16(this.offset + field, value);
    this.data.setUint16(this.offset + TCP_AT_CHECKSUM, update16(this.checksum, before, value));
  }

  private replace32(field: number, value: number): void {
    const before = this.data.getUint32(this.offset + field);
    this.data.setUint32(this.offset + field, value);
    this.patchChecksum32(before, value);
  }
}

/**
 * Writes a header without options. The checksum needs the IP header and the payload: write them, parse the packet and
 * call `writeTransportChecksum`, or give it here.
 * @returns 20
 */
export function encodeTcpInto(
  data: DataView,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgment: number,
  flags: number,
  window = 0xffff,
  checksum = 0,
  urgentPointer = 0,
): number {
  data.setUint32(offset + TCP_AT_SOURCE_PORT, (sourcePort << 16) | destinationPort);
  data.setUint32(offset + TCP_AT_SEQUENCE, sequence);
  data.setUint32(offset + TCP_AT_ACKNOWLEDGMENT, acknowledgment);
  data.setUint32(offset + TCP_AT_DATA_OFFSET, ((TCP_HEADER >>> 2) << 28) | (flags << 16) | window);
  data.setUint32(offset + TCP_AT_CHECKSUM, (checksum << 16) | urgentPointer);
  return TCP_HEADER;
}
