import { hexDigit, writeDecimal, writeIpv4, writeIpv6 } from '../../wire/address.js';

const LONGEST_NUMBER = 16;
const LONGEST_ADDRESS = 45;
const UNKNOWN = 0x3f;

/**
 * A line of ASCII that is put together piece by piece and re-used for packet after packet: comments by the million are
 * not worth a string each.
 */
export class AsciiText {
  bytes = new Uint8Array(512);
  /** The same memory, a multiple of four bytes. */
  data = new DataView(this.bytes.buffer);
  length = 0;

  /** Begins anew. */
  clear(): this {
    this.length = 0;
    return this;
  }

  /** What is not ASCII becomes a question mark. */
  add(piece: string): this {
    this.makeRoom(piece.length);
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i);
      bytes[at++] = code < 0x80 ? code : UNKNOWN;
    }
    this.length = at;
    return this;
  }

  /** @param value a whole number from 0 */
  decimal(value: number): this {
    this.makeRoom(LONGEST_NUMBER);
    this.length = writeDecimal(value, this.bytes, this.length);
    return this;
  }

  /** `0x` and eight digits. */
  hex32(value: number): this {
    this.makeRoom(10);
    const { bytes } = this;
    bytes[this.length++] = 0x30;
    bytes[this.length++] = 0x78;
    for (let shift = 28; shift >= 0; shift -= 4) bytes[this.length++] = hexDigit((value >>> shift) & 0xf);
    return this;
  }

  /** @param address as a number */
  ipv4(address: number): this {
    this.makeRoom(LONGEST_ADDRESS);
    this.length = writeIpv4(address, this.bytes, this.length);
    return this;
  }

  /** @param offset where its 16 bytes start */
  ipv6(data: DataView, offset: number): this {
    this.makeRoom(LONGEST_ADDRESS);
    this.length = writeIpv6(data, offset, this.bytes, this.length);
    return this;
  }

  /** `198.51.100.7:40000` or `[2001:db8::7]:40000`. @param offset where the address starts; @param port below 0 for none */
  endpoint(version: number, data: DataView, offset: number, port: number): this {
    if (version === 4) this.ipv4(data.getInt32(offset));
    else if (port < 0) this.ipv6(data, offset);
    else this.add('[').ipv6(data, offset).add(']');
    return port < 0 ? this : this.add(':').decimal(port);
  }

  toString(): string {
    return Buffer.from(this.bytes.buffer, 0, this.length).toString('latin1');
  }

  private makeRoom(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(4 * (this.length + more));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.data = new DataView(larger.buffer);
  }
}
