/** Words per entry: check, initial sequence number, time in seconds. */
const STRIDE = 4;
const CHECK = 0;
const ISN = 1;
const TIME = 2;

/** A cookie is good for one to two minutes (Linux: MAX_SYNCOOKIE_AGE periods of 60 s); we remember one. */
export const COOKIE_SECONDS = 64;

/**
 * Remembers which SYNs were let in lately, for all threads of a node together.
 *
 * With SYN cookies the kernel keeps nothing between SYN and ACK, so the ACK that ends the handshake finds only a
 * listener: it looks like any packet of a flow that lives on the second hop. Only its sequence number tells: it is
 * the SYN's plus one. Direct-mapped and of fixed size: under a flood entries are overwritten and some cookie
 * handshakes fail; nothing grows, and no flow of another server is taken.
 */
export class SynMemory {
  private readonly slots: Int32Array;
  private readonly mask: number;

  /** @param memory from {@link allocate}, the same for all threads */
  constructor(memory: SharedArrayBuffer) {
    this.slots = new Int32Array(memory);
    this.mask = this.slots.length / STRIDE - 1;
  }

  /** @param entries a power of two */
  static allocate(entries: number): SharedArrayBuffer {
    return new SharedArrayBuffer(entries * STRIDE * 4);
  }

  /**
   * @param hash chooses the entry; @param check 32 further bits of the tuple; @param sequence of the SYN
   * @param milliseconds now, by the monotonic clock
   */
  remember(hash: number, check: number, sequence: number, milliseconds: number): void {
    const at = (hash & this.mask) * STRIDE;
    // Another thread may read or write the entry in between: a mixture fits no packet but by a chance of 2^-32.
    Atomics.store(this.slots, at + CHECK, check);
    Atomics.store(this.slots, at + ISN, sequence | 0);
    Atomics.store(this.slots, at + TIME, toSeconds(milliseconds));
  }

  /** Whether a SYN of this tuple with this sequence number was let in during the last {@link COOKIE_SECONDS}. */
  knows(hash: number, check: number, sequence: number, milliseconds: number): boolean {
    const at = (hash & this.mask) * STRIDE;
    const time = Atomics.load(this.slots, at + TIME);
    return (
      time !== 0 &&
      toSeconds(milliseconds) - time <= COOKIE_SECONDS &&
      Atomics.load(this.slots, at + CHECK) === check &&
      Atomics.load(this.slots, at + ISN) === (sequence | 0)
    );
  }
}

/** Whole seconds, never 0: that marks an empty entry. */
function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) + 1;
}
