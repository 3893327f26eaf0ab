import { expect } from 'vitest';

/** Bytes from hex text, in as many pieces as it takes to be readable; blanks do not count. */
export function hex(...pieces: string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(pieces.join('').replaceAll(/\s/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** A DataView of exactly these bytes. */
export function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

const MARGIN = 5;
const ROOM = 2048;

/**
 * Runs an encoder twice, on memory full of 0xa5 and of 0x5a, and returns what it wrote. A byte that it left unwritten
 * differs between the two, and a byte that it wrote outside the length it reports is no longer the filling.
 */
export function construct(write: (data: DataView, offset: number) => number): Uint8Array {
  const [first, second] = [0xa5, 0x5a].map((filling) => {
    const bytes = new Uint8Array(ROOM).fill(filling);
    const length = write(dataOf(bytes), MARGIN);
    const outside = concat(bytes.subarray(0, MARGIN), bytes.subarray(MARGIN + length));
    expect(outside.every((byte) => byte === filling)).toBe(true);
    return bytes.slice(MARGIN, MARGIN + length);
  });
  expect(toHex(first)).toBe(toHex(second));
  return first;
}

/** A DataView that refuses to be read or written outside `[low, high)`. */
export class GuardedDataView extends DataView<ArrayBuffer> {
  constructor(
    buffer: ArrayBuffer,
    private readonly low: number,
    private readonly high: number,
  ) {
    super(buffer);
  }

  private check(at: number, size: number): void {
    if (at < this.low || at + size > this.high) {
      throw new RangeError(`${size} bytes at ${at} are outside [${this.low}, ${this.high})`);
    }
  }

  override getUint8(at: number): number {
    this.check(at, 1);
    return super.getUint8(at);
  }

  override getUint16(at: number, littleEndian?: boolean): number {
    this.check(at, 2);
    return super.getUint16(at, littleEndian);
  }

  override getUint32(at: number, littleEndian?: boolean): number {
    this.check(at, 4);
    return super.getUint32(at, littleEndian);
  }

  override getInt32(at: number, littleEndian?: boolean): number {
    this.check(at, 4);
    return super.getInt32(at, littleEndian);
  }

  override getBigUint64(at: number, littleEndian?: boolean): bigint {
    this.check(at, 8);
    return super.getBigUint64(at, littleEndian);
  }

  override setUint8(at: number, value: number): void {
    this.check(at, 1);
    super.setUint8(at, value);
  }

  override setUint16(at: number, value: number, littleEndian?: boolean): void {
    this.check(at, 2);
    super.setUint16(at, value, littleEndian);
  }

  override setUint32(at: number, value: number, littleEndian?: boolean): void {
    this.check(at, 4);
    super.setUint32(at, value, littleEndian);
  }
}
