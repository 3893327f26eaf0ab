import { NativeMemory } from './libc.js';

/** `struct iovec`: base@0, length@8. */
const IOVEC_SIZE = 16;

/** The argument of writev(2): pieces of memory that are written as one. Made once. */
export class GatherVector {
  readonly address: number;
  count = 0;
  private readonly vectors: NativeMemory;

  constructor(capacity: number) {
    this.vectors = new NativeMemory(capacity * IOVEC_SIZE);
    this.address = this.vectors.address;
  }

  clear(): void {
    this.count = 0;
  }

  /** Adds a piece. There has to be room for it. */
  add(address: number, length: number): void {
    const at = this.count * IOVEC_SIZE;
    this.vectors.setPointer(at, address);
    this.vectors.data.setUint32(at + 8, length, true);
    this.count++;
  }
}
