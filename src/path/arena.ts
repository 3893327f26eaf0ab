import { fold, sumBytes } from '../wire/checksum.js';
import { arenaModule } from './arena-module.js';

/**
 * The memory of a batch, and what is done with many of its bytes at once. Its address is stable, and may be handed to
 * system calls.
 */
export interface Arena {
  readonly bytes: Buffer;
  /**
   * The Internet checksum's sum of `length` bytes at any alignment, folded to 16 bits; an odd last byte counts as the
   * upper half of a word.
   */
  sum(at: number, length: number): number;
  /** Copies `length` bytes to a place that does not overlap with theirs. @returns their {@link sum} */
  copy(to: number, at: number, length: number): number;
}

/** In JavaScript alone. */
export class PlainArena implements Arena {
  readonly bytes: Buffer;
  private readonly data: DataView;

  /** @param size in bytes, all 0 at first */
  constructor(size: number) {
    // Not of Buffer's pool, which belongs to everybody.
    this.bytes = Buffer.allocUnsafeSlow(size).fill(0);
    this.data = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  sum(at: number, length: number): number {
    return fold(sumBytes(this.data, at, length));
  }

  copy(to: number, at: number, length: number): number {
    this.bytes.copyWithin(to, at, at + length);
    return fold(sumBytes(this.data, to, length));
  }
}

const PAGE = 0x10000;
let compiled: WebAssembly.Module | undefined;

type Instructions = (to: number, at: number, length: number) => number;

/** The same by WebAssembly's vector instructions: arena-module.ts. Worth its setting up where payload is touched. */
export class VectorArena implements Arena {
  readonly bytes: Buffer;
  private readonly summed: Instructions;
  private readonly copied: Instructions;

  /** @param size in bytes, all 0 at first */
  constructor(size: number) {
    compiled ??= new WebAssembly.Module(arenaModule());
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE) });
    const { exports } = new WebAssembly.Instance(compiled, { arena: { memory } });
    this.bytes = Buffer.from(memory.buffer, 0, size);
    this.summed = exports.sum as Instructions;
    this.copied = exports.copy as Instructions;
  }

  sum(at: number, length: number): number {
    return this.summed(0, at, length);
  }

  copy(to: number, at: number, length: number): number {
    return this.copied(to, at, length);
  }
}
