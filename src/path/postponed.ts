import type { PacketBatch } from './batch.js';
import type { PathState } from './state.js';

/**
 * Packets of a batch that are hashed, and wait for the rows of a table that is larger than the caches.
 *
 * A row that is not in a cache takes longer to come than a packet takes to handle, and while one packet waits for its
 * row, the next cannot ask for its own. Reading the rows of all packets in one short loop makes the processor fetch
 * many at once (native-notes/performance.md).
 */
export class Postponed {
  count = 0;
  /** Slot of the batch. */
  readonly slot: Int32Array;
  readonly length: Int32Array;
  /** 4 or 6. */
  readonly version: Uint8Array;
  /** What becomes of the packet when another server is the first hop. */
  readonly verdict: Uint8Array;
  /** First and second hop, as in the table. */
  readonly first: Int32Array;
  readonly second: Int32Array;
  private readonly bucket: Int32Array;
  /** Of no meaning: what is read must go somewhere. */
  unused = 0;

  constructor(capacity: number) {
    this.slot = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.version = new Uint8Array(capacity);
    this.verdict = new Uint8Array(capacity);
    this.first = new Int32Array(capacity);
    this.second = new Int32Array(capacity);
    this.bucket = new Int32Array(capacity);
  }

  begin(): void {
    this.count = 0;
  }

  /** @param bucket position in the table's slots */
  add(slot: number, bucket: number, length: number, version: number, verdict: number): void {
    const p = this.count++;
    this.slot[p] = slot;
    this.bucket[p] = bucket;
    this.length[p] = length;
    this.version[p] = version;
    this.verdict[p] = verdict;
  }

  /** Reads the rows of all packets. */
  fetch(state: PathState, batch: PacketBatch): void {
    const { count, slot, bucket, first, second } = this;
    const { trafficset } = batch;
    // Mostly all packets are of one trafficset.
    for (let from = 0; from < count; ) {
      const index = trafficset[slot[from]];
      let to = from + 1;
      while (to < count && trafficset[slot[to]] === index) to++;
      this.unused = touch(state.trafficsets[index].slots, bucket, from, to);
      from = to;
    }
    for (let p = 0; p < count; p++) {
      const { slots, twoSlots } = state.trafficsets[trafficset[slot[p]]];
      const at = bucket[p];
      first[p] = slots[at];
      second[p] = twoSlots === 1 ? slots[at + 1] : 0;
    }
  }
}

/**
 * Nothing but the reading: the fewer instructions between two reads, the more of them the processor has under way.
 * @returns a number of no meaning, so that V8 does not leave out the reading
 */
function touch(slots: Uint32Array, bucket: Int32Array, from: number, to: number): number {
  let sum = 0;
  for (let p = from; p < to; p++) sum ^= slots[bucket[p]];
  return sum;
}
