/** What is read of a file at once: as much as stays in the second-level cache until it has been parsed. */
const WINDOW_SIZE = 256 << 10;

/** Longer records and blocks are taken for damage: no link carries such packets. */
export const MAX_RECORD = 16 << 20;

/**
 * The part of a capture that is in memory: one buffer, into which the file is read piece after piece. Parsers take
 * records from `start`; what is left of a record that is not all here moves to the front before more is read.
 */
export class ReadWindow {
  bytes: Buffer;
  /** The same memory as `bytes`. */
  data: DataView;
  /** And once more, in the byte order of this machine, for what is aligned: reading it takes less. */
  words: Int32Array;
  /** The first byte not yet parsed, and one past the last one read: `[start, end)` in `bytes`. */
  start = 0;
  end = 0;
  /** How many bytes from `start` the parser needs to go on. */
  wanted = 0;
  /** Where `bytes[0]` lies in the capture. */
  private base = 0;

  /** @param bytes of which the first `end` have been read */
  constructor(bytes: Buffer = Buffer.allocUnsafeSlow(WINDOW_SIZE), end = 0) {
    this.bytes = bytes;
    this.data = viewOf(bytes);
    this.words = wordsOf(bytes);
    this.end = end;
  }

  /** Byte offset in the capture of `bytes[at]`. */
  position(at: number): number {
    return this.base + at;
  }

  /** Makes room for what is wanted and for more behind `end`. `bytes` and `data` may be others afterwards. */
  makeRoom(): void {
    const here = this.end - this.start;
    if (this.wanted > this.bytes.length) {
      // The next power of two: a file of ever larger records copies each byte only a few times.
      const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(this.wanted)));
      this.bytes.copy(larger, 0, this.start, this.end);
      this.bytes = larger;
      this.data = viewOf(larger);
      this.words = wordsOf(larger);
    } else if (this.start > 0) {
      this.bytes.copyWithin(0, this.start, this.end);
    }
    this.base += this.start;
    this.start = 0;
    this.end = here;
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}
