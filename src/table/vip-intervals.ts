import type { Prefix } from './address.js';
import type { ServiceRegistry } from './vip-services.js';

/**
 * Nested prefixes, flattened: the whole address space of a family cut into intervals, each with one service.
 *
 * Addresses are host-order words, most significant first: one for IPv4, four for IPv6. There may be hundreds of
 * thousands of prefixes, so they are worked on in flat arrays, `wordCount` words per address.
 */

/** A prefix that a trafficset lists. */
export interface ListedPrefix {
  readonly prefix: Prefix;
  /** Index of the trafficset. */
  readonly trafficset: number;
}

export interface Intervals {
  readonly wordCount: number;
  readonly count: number;
  /** First address of each interval, ascending; the first is zero. */
  readonly starts: Uint32Array;
  /** Service number of each interval, 0 = no VIP. Neighbours differ. */
  readonly services: Int32Array;
}

/**
 * @param listed prefixes of one family, in any order
 * @param wordCount words per address: 1 or 4
 * @throws TableError `rule-conflict`
 */
export function cutIntoIntervals(
  listed: readonly ListedPrefix[],
  wordCount: number,
  registry: ServiceRegistry,
): Intervals {
  const words = new Uint32Array(wordCount * listed.length);
  for (let index = 0; index < listed.length; index++) {
    for (let word = 0; word < wordCount; word++) {
      words[wordCount * index + word] = listed[index].prefix.words[word];
    }
  }
  const order = sortPrefixes(listed, words, wordCount);
  const cutter = new Cutter(listed.length, wordCount);
  for (let at = 0; at < order.length; ) {
    const index = order[at];
    const { prefix } = listed[index];
    const own: number[] = [];
    for (; at < order.length && samePrefix(listed, words, wordCount, index, order[at]); at++) {
      const { trafficset } = listed[order[at]];
      if (own.at(-1) !== trafficset) own.push(trafficset);
    }
    cutter.leaveUpTo(words, wordCount * index);
    cutter.enter(words, wordCount * index, prefix.length, registry.serviceOf(cutter.service, own, prefix));
  }
  return cutter.finish();
}

/** Indices by first address; a prefix before those inside it; then by trafficset. */
function sortPrefixes(listed: readonly ListedPrefix[], words: Uint32Array, wordCount: number): Uint32Array {
  const order = new Uint32Array(listed.length);
  // A double that grows with the first two words settles nearly all comparisons.
  const rank = new Float64Array(listed.length);
  for (let index = 0; index < listed.length; index++) {
    const at = wordCount * index;
    order[index] = index;
    rank[index] = words[at] * 2 ** 32 + (wordCount > 1 ? words[at + 1] : 0);
  }
  return order.sort(
    (a, b) =>
      rank[a] - rank[b] ||
      compare(words, wordCount * a, words, wordCount * b, wordCount) ||
      listed[a].prefix.length - listed[b].prefix.length ||
      listed[a].trafficset - listed[b].trafficset,
  );
}

function samePrefix(
  listed: readonly ListedPrefix[],
  words: Uint32Array,
  wordCount: number,
  a: number,
  b: number,
): boolean {
  if (listed[a].prefix.length !== listed[b].prefix.length) return false;
  return compare(words, wordCount * a, words, wordCount * b, wordCount) === 0;
}

/**
 * Walks through the address space. Prefixes nest or are disjoint, so those that contain the current address form a
 * stack; entering or leaving one begins an interval.
 */
class Cutter {
  /** Service of the innermost prefix around the current address. */
  service = 0;
  private readonly wordCount: number;
  private readonly starts: Uint32Array;
  private readonly services: Int32Array;
  private count = 0;
  /** By depth: the first address behind the prefix; the stack is as deep as lengths differ. */
  private readonly after: Uint32Array;
  /** By depth: 1 where the address space ends with the prefix, and there is no such address. */
  private readonly endless: Uint8Array;
  /** By depth: service of the prefix; at 0, outside of all. */
  private readonly serviceAt: Int32Array;
  private depth = 0;

  constructor(prefixCount: number, wordCount: number) {
    const most = 2 * prefixCount + 1;
    const deepest = 32 * wordCount + 2;
    this.wordCount = wordCount;
    this.starts = new Uint32Array(wordCount * most);
    this.services = new Int32Array(most);
    this.after = new Uint32Array(wordCount * deepest);
    this.endless = new Uint8Array(deepest);
    this.serviceAt = new Int32Array(deepest);
    this.begin(this.starts, 0, 0);
  }

  /** Leaves all prefixes that end before the address at `words[at]`. */
  leaveUpTo(words: Uint32Array, at: number): void {
    while (this.depth > 0 && this.endless[this.depth] === 0) {
      if (compare(this.after, this.wordCount * this.depth, words, at, this.wordCount) > 0) return;
      this.leave();
    }
  }

  /** Enters the prefix whose first address lies at `words[at]`. */
  enter(words: Uint32Array, at: number, length: number, service: number): void {
    this.depth++;
    const own = this.wordCount * this.depth;
    for (let word = 0; word < this.wordCount; word++) this.after[own + word] = words[at + word];
    this.endless[this.depth] = addLastBit(this.after, own, length) ? 0 : 1;
    this.serviceAt[this.depth] = service;
    this.service = service;
    this.begin(words, at, service);
  }

  finish(): Intervals {
    while (this.depth > 0 && this.endless[this.depth] === 0) this.leave();
    return {
      wordCount: this.wordCount,
      count: this.count,
      starts: this.starts.subarray(0, this.wordCount * this.count),
      services: this.services.subarray(0, this.count),
    };
  }

  private leave(): void {
    const at = this.wordCount * this.depth;
    this.depth--;
    this.service = this.serviceAt[this.depth];
    this.begin(this.after, at, this.service);
  }

  /** Begins an interval at `words[at]`; one that is empty or like its neighbour is not kept. */
  private begin(words: Uint32Array, at: number, service: number): void {
    const { wordCount } = this;
    if (this.count > 0 && compare(this.starts, wordCount * (this.count - 1), words, at, wordCount) === 0) {
      this.count--;
    }
    if (this.count > 0 && this.services[this.count - 1] === service) return;
    for (let word = 0; word < wordCount; word++)
      this.starts[wordCount * this.count + word] = words[at + word];
    this.services[this.count++] = service;
  }
}

/** Negative, zero or positive as the address at `a[atA]` is below, at or above the one at `b[atB]`. */
function compare(a: Uint32Array, atA: number, b: Uint32Array, atB: number, wordCount: number): number {
  for (let word = 0; word < wordCount; word++) {
    if (a[atA + word] !== b[atB + word]) return a[atA + word] - b[atB + word];
  }
  return 0;
}

/** Adds one at the last bit of a prefix: its first address becomes the first one behind it. False on overflow. */
function addLastBit(words: Uint32Array, at: number, length: number): boolean {
  if (length === 0) return false;
  let carry = 2 ** (31 - ((length - 1) & 31));
  for (let word = (length - 1) >>> 5; word >= 0; word--) {
    const sum = words[at + word] + carry;
    words[at + word] = sum;
    if (sum < 2 ** 32) return true;
    carry = 1;
  }
  return false;
}
