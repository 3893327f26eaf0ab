/** Words per slot: SYNs begun, SYNs finished. */
const STRIDE = 2;

/** Returned by {@link SynEpochs.quiet} while a SYN is on its way. */
export const BUSY = -1;

/**
 * Counts the SYNs that were let in, by slots of a tuple hash, for all threads of a node together. Says whether a SYN
 * of some tuple may have reached the kernel since a moment in the past: never "no" wrongly, "yes" wrongly for tuples
 * that share a slot.
 *
 * A SYN is counted as begun when it is decided on, and as finished when the kernel has it. Between the two its socket
 * may or may not exist.
 */
export class SynEpochs {
  private readonly slots: Int32Array;
  private readonly mask: number;

  /** @param memory from {@link allocate}, the same for all threads */
  constructor(memory: SharedArrayBuffer) {
    this.slots = new Int32Array(memory);
    this.mask = this.slots.length / STRIDE - 1;
  }

  /** @param entries slots: a power of two */
  static allocate(entries: number): SharedArrayBuffer {
    return new SharedArrayBuffer(entries * STRIDE * 4);
  }

  begin(hash: number): void {
    Atomics.add(this.slots, (hash & this.mask) * STRIDE, 1);
  }

  finish(hash: number): void {
    Atomics.add(this.slots, (hash & this.mask) * STRIDE + 1, 1);
  }

  /** The slot's epoch (31 bits) if no SYN was on its way at one moment during this call, otherwise {@link BUSY}. */
  quiet(hash: number): number {
    const at = (hash & this.mask) * STRIDE;
    // In this order: all that had begun by the first load had finished by then, or the counts differ.
    const finished = Atomics.load(this.slots, at + 1);
    const begun = Atomics.load(this.slots, at);
    return begun === finished ? begun & 0x7fffffff : BUSY;
  }

  /** Whether no SYN has begun since {@link quiet} returned `epoch`. */
  unchanged(hash: number, epoch: number): boolean {
    return (Atomics.load(this.slots, (hash & this.mask) * STRIDE) & 0x7fffffff) === epoch;
  }
}
