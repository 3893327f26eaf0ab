import type { PacketBatch } from './batch.js';
import type { Classifier } from './classify.js';
import { FragmentMemory } from './fragments.js';
import type { PathState } from './state.js';

/**
 * The fragments of one batch: the first ones, whose end is remembered once all is decided, and the later ones, which are
 * looked up after that. So the order within a batch does not matter.
 */
export class FragmentTrail {
  /** Of later fragments, the slots: to be concluded by {@link find}. */
  readonly laterSlots: Int32Array;
  laterCount = 0;
  readonly firstSlots: Int32Array;
  readonly firstEntries: Int32Array;
  firstCount = 0;
  private known: FragmentMemory | null = null;

  /** @param capacity of the batches that come */
  constructor(capacity: number) {
    this.laterSlots = new Int32Array(capacity);
    this.firstSlots = new Int32Array(capacity);
    this.firstEntries = new Int32Array(capacity);
  }

  /** What was seen was judged by another configuration, whose trafficsets may have other indexes. */
  forget(): void {
    this.known = null;
  }

  begin(): void {
    this.laterCount = 0;
    this.firstCount = 0;
  }

  /** Made when the first fragment comes: a megabyte that most nodes never need. */
  get memory(): FragmentMemory {
    this.known ??= new FragmentMemory();
    return this.known;
  }

  /** The packet that was classified is a first fragment. @param now in milliseconds */
  addFirst({ packet }: Classifier, slot: number, now: number): void {
    this.firstSlots[this.firstCount] = slot;
    this.firstEntries[this.firstCount] = this.memory.note(packet, now);
    this.firstCount++;
  }

  addLater(slot: number): void {
    this.laterSlots[this.laterCount++] = slot;
  }

  /** Classifies a later fragment again. @returns the entry of its datagram, or -1 */
  find(
    classifier: Classifier,
    state: PathState,
    batch: PacketBatch,
    slot: number,
    offset: number,
    now: number,
  ): number {
    classifier.classify(state, batch.data, offset, batch.offset[slot] + batch.length[slot]);
    return this.memory.find(classifier.packet, now);
  }
}
