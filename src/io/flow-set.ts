import { SocketQueries, sameWords, TUPLE_WORDS } from '../path/sockets.js';
import { hashTuple } from './tuple.js';

/** Words per entry: tuple 9, then version and protocol in one; 0 there marks a free entry. */
const STRIDE = TUPLE_WORDS + 1;
const KIND = TUPLE_WORDS;
const SMALLEST = 64;

/** A set of flows, asked and filled by socket queries. Open addressing, at most half full; grows as needed. */
export class FlowSet {
  size = 0;
  private entries = new Int32Array(SMALLEST * STRIDE);
  private mask = SMALLEST - 1;

  has(queries: SocketQueries, index: number): boolean {
    return this.entries[this.find(queries, index) + KIND] !== 0;
  }

  add(queries: SocketQueries, index: number): void {
    if (2 * (this.size + 1) > this.mask + 1) this.rebuild(2 * (this.mask + 1));
    const at = this.find(queries, index);
    if (this.entries[at + KIND] !== 0) return;
    const from = index * TUPLE_WORDS;
    for (let word = 0; word < TUPLE_WORDS; word++) this.entries[at + word] = queries.words[from + word];
    this.entries[at + KIND] = kindOf(queries, index);
    this.size++;
  }

  /** Slow: the flows behind it have to close up. @returns whether it was there */
  delete(queries: SocketQueries, index: number): boolean {
    const at = this.find(queries, index);
    if (this.entries[at + KIND] === 0) return false;
    this.entries[at + KIND] = 0;
    this.rebuild(this.mask + 1);
    return true;
  }

  /** @param visit gets every flow as the one query of the same object */
  each(visit: (query: SocketQueries) => void): void {
    forEachEntry(this.entries, visit);
  }

  clear(): void {
    this.entries.fill(0);
    this.size = 0;
  }

  /** The entry of the flow, or the free one where it would be. */
  private find(queries: SocketQueries, index: number): number {
    const { entries, mask } = this;
    const kind = kindOf(queries, index);
    let slot = hashTuple(queries, index, kind) & mask;
    for (;;) {
      const at = slot * STRIDE;
      const found = entries[at + KIND];
      if (found === 0) return at;
      if (found === kind && sameWords(entries, at, queries.words, index * TUPLE_WORDS)) return at;
      slot = (slot + 1) & mask;
    }
  }

  private rebuild(slots: number): void {
    const old = this.entries;
    this.entries = new Int32Array(slots * STRIDE);
    this.mask = slots - 1;
    this.size = 0;
    forEachEntry(old, (query) => this.add(query, 0));
  }
}

function forEachEntry(entries: Int32Array, each: (query: SocketQueries) => void): void {
  const one = new SocketQueries(1);
  for (let at = 0; at < entries.length; at += STRIDE) {
    const kind = entries[at + KIND];
    if (kind === 0) continue;
    one.words.set(entries.subarray(at, at + TUPLE_WORDS));
    one.version[0] = kind >>> 8;
    one.protocol[0] = kind & 0xff;
    each(one);
  }
}

/** Never 0: the version is 4 or 6. */
function kindOf(queries: SocketQueries, index: number): number {
  return (queries.version[index] << 8) | queries.protocol[index];
}
