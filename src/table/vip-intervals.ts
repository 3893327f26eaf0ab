import type { Prefix } from './address.js';
import type { ServiceRegistry } from './vip-services.js';

/**
 * Nested prefixes, flattened: the whole address space of a family cut into intervals, each with one service.
 * Addresses are host-order words, most significant first, as in `Prefix.words`.
 */

/** A prefix that a trafficset lists. */
export interface ListedPrefix {
  readonly prefix: Prefix;
  /** Index of the trafficset. */
  readonly trafficset: number;
}

export interface Intervals {
  /** First address of each interval, ascending; the first is zero. */
  readonly starts: Uint32Array[];
  /** Service number of each interval, 0 = no VIP. Neighbours differ. */
  readonly services: number[];
}

/** A prefix that was begun and not yet left. */
interface OpenPrefix {
  /** The first address behind it; undefined where the address space ends with it. */
  readonly after: Uint32Array | undefined;
  readonly service: number;
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
  const sorted = [...listed].sort(inOrder);
  const intervals: Intervals = { starts: [new Uint32Array(wordCount)], services: [0] };
  // Prefixes nest or are disjoint, so those that contain the current address form a stack.
  const open: OpenPrefix[] = [];
  const leave = (reached: Uint32Array | undefined) => {
    for (let inner = open.at(-1); inner?.after !== undefined; inner = open.at(-1)) {
      if (reached !== undefined && compareWords(inner.after, reached) > 0) return;
      open.pop();
      append(intervals, inner.after, open.at(-1)?.service ?? 0);
    }
  };
  for (let at = 0; at < sorted.length; ) {
    const { prefix } = sorted[at];
    const own: number[] = [];
    for (; at < sorted.length && samePrefix(sorted[at].prefix, prefix); at++) {
      if (own.at(-1) !== sorted[at].trafficset) own.push(sorted[at].trafficset);
    }
    leave(prefix.words);
    const service = registry.serviceOf(open.at(-1)?.service ?? 0, own, prefix);
    append(intervals, prefix.words, service);
    open.push({ after: addressAfter(prefix), service });
  }
  leave(undefined);
  return intervals;
}

/** Begins an interval; one that would be empty or like its neighbour is not kept. */
function append({ starts, services }: Intervals, start: Uint32Array, service: number): void {
  if (compareWords(starts[starts.length - 1], start) === 0) {
    starts.pop();
    services.pop();
  }
  if (services.at(-1) === service) return;
  starts.push(start);
  services.push(service);
}

/** By first address, the containing prefix before those in it, then by trafficset. */
function inOrder(a: ListedPrefix, b: ListedPrefix): number {
  return (
    compareWords(a.prefix.words, b.prefix.words) ||
    a.prefix.length - b.prefix.length ||
    a.trafficset - b.trafficset
  );
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && compareWords(a.words, b.words) === 0;
}

/** Negative, zero or positive as `a` is below, at or above `b`. */
function compareWords(a: Uint32Array, b: Uint32Array): number {
  for (let word = 0; word < a.length; word++) {
    if (a[word] !== b[word]) return a[word] - b[word];
  }
  return 0;
}

function addressAfter(prefix: Prefix): Uint32Array | undefined {
  if (prefix.length === 0) return undefined;
  const after = Uint32Array.from(prefix.words);
  // Add one at the last bit of the prefix; the carry runs towards the front.
  let word = (prefix.length - 1) >>> 5;
  let carry = 2 ** (31 - ((prefix.length - 1) & 31));
  for (; word >= 0; word--) {
    const sum = after[word] + carry;
    after[word] = sum;
    if (sum < 2 ** 32) return after;
    carry = 1;
  }
  return undefined;
}
