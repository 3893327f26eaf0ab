import { leadingBits, Prefix } from './address.js';

/**
 * Sets of prefixes by the hundred thousand: sorted, joined, and covered by a few.
 *
 * Sorted means: IPv4 before IPv6, by first address, a prefix before those inside it.
 */

/** Negative, zero or positive as `a` sorts before, with or behind `b`. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.version !== b.version) return a.version - b.version;
  for (let word = 0; word < a.words.length; word++) {
    if (a.words[word] !== b.words[word]) return a.words[word] - b.words[word];
  }
  return a.length - b.length;
}

/** Whether every address of `inner` lies in `outer`. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  if (outer.version !== inner.version || outer.length > inner.length) return false;
  return outer.version === 4 ? outer.contains4(inner.words[0]) : outer.contains6(inner.words);
}

/** The fewest prefixes with exactly the same addresses, sorted. */
export function aggregatePrefixes(prefixes: Iterable<Prefix>): Prefix[] {
  const joined: Prefix[] = [];
  for (const prefix of [...prefixes].sort(comparePrefixes)) {
    const last = joined.at(-1);
    if (last !== undefined && containsPrefix(last, prefix)) continue;
    let next = prefix;
    // Two halves are their whole, which may be a half itself.
    for (let before = joined.at(-1); before !== undefined; before = joined.at(-1)) {
      const whole = shortened(next, next.length - 1);
      if (next.length !== before.length || !containsPrefix(whole, before)) break;
      joined.pop();
      next = whole;
    }
    joined.push(next);
  }
  return joined;
}

/**
 * Those of some prefixes that lie in none of the covers.
 * @param prefixes sorted
 * @param covers as {@link aggregatePrefixes} makes them
 */
export function uncoveredPrefixes(prefixes: readonly Prefix[], covers: readonly Prefix[]): Prefix[] {
  let next = 0;
  return prefixes.filter((prefix) => {
    // It can only lie in the last one that does not sort behind it.
    while (next < covers.length && comparePrefixes(covers[next], prefix) <= 0) next++;
    return next === 0 || !containsPrefix(covers[next - 1], prefix);
  });
}

/** A part of the sorted set, and the smallest prefix around it. */
interface Cover {
  readonly prefix: Prefix;
  /** Indices into the set: `first` to before `end`. */
  readonly first: number;
  readonly end: number;
  /** Addresses that are in the prefix and not in the set; infinite where it must not stay whole. */
  readonly waste: number;
}

/**
 * At most `most` prefixes that hold all of a set and as little else as possible.
 * @param aggregated as {@link aggregatePrefixes} makes it
 * @param keepOut what no cover may hold, unless one prefix of the set holds it
 * @returns null when there are no so few
 */
export function coverPrefixes(
  aggregated: readonly Prefix[],
  most: number,
  keepOut: readonly Prefix[],
): Prefix[] | null {
  const six = aggregated.findIndex(({ version }) => version === 6);
  const count4 = six < 0 ? aggregated.length : six;
  const count6 = aggregated.length - count4;
  // A family that needs less than its half leaves the rest to the other.
  const most4 = Math.min(count4, Math.max(Math.floor(most / 2), most - count6));
  const covers4 = coverRange(aggregated, 0, count4, most4, keepOut);
  const covers6 = coverRange(aggregated, count4, aggregated.length, most - most4, keepOut);
  return covers4 === null || covers6 === null ? null : [...covers4, ...covers6];
}

/** Begins with one cover around all, and divides the most wasteful one as long as that is allowed. */
function coverRange(
  set: readonly Prefix[],
  first: number,
  end: number,
  most: number,
  keepOut: readonly Prefix[],
): Prefix[] | null {
  if (first === end) return [];
  const sizes = new Float64Array(end - first + 1);
  for (let at = first; at < end; at++) sizes[at - first + 1] = sizes[at - first] + sizeOf(set[at]);
  const cover = (from: number, to: number): Cover => {
    const prefix = to - from === 1 ? set[from] : around(set[from], set[to - 1]);
    const forbidden =
      to - from > 1 && keepOut.some((one) => containsPrefix(prefix, one) && !holds(set, from, to, one));
    const waste = to - from === 1 ? 0 : sizeOf(prefix) - (sizes[to - first] - sizes[from - first]);
    return { prefix, first: from, end: to, waste: forbidden ? Number.POSITIVE_INFINITY : waste };
  };
  const covers = [cover(first, end)];
  for (;;) {
    const worst = covers.reduce((a, b) => (b.waste > a.waste ? b : a));
    if (worst.waste <= 0) break;
    if (covers.length >= most) {
      if (worst.waste === Number.POSITIVE_INFINITY) return null;
      break;
    }
    const middle = divide(set, worst);
    covers.splice(covers.indexOf(worst), 1, cover(worst.first, middle), cover(middle, worst.end));
  }
  return covers.map(({ prefix }) => prefix).sort(comparePrefixes);
}

/** Index of the first prefix in the upper half of a cover. */
function divide(set: readonly Prefix[], { prefix, first, end }: Cover): number {
  const word = prefix.length >>> 5;
  const bit = 2 ** (31 - (prefix.length & 31));
  let low = first;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((set[middle].words[word] & bit) === 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function holds(set: readonly Prefix[], first: number, end: number, one: Prefix): boolean {
  for (let at = first; at < end; at++) if (containsPrefix(set[at], one)) return true;
  return false;
}

function sizeOf({ words, length }: Prefix): number {
  return 2 ** (32 * words.length - length);
}

/** The longest prefix that holds two of one family, of which neither holds the other. */
function around(a: Prefix, b: Prefix): Prefix {
  const word = a.words.findIndex((value, at) => value !== b.words[at]);
  return shortened(a, 32 * word + Math.clz32(a.words[word] ^ b.words[word]));
}

function shortened({ version, words }: Prefix, length: number): Prefix {
  return new Prefix(
    version,
    words.map((value, word) => (value & leadingBits(length - 32 * word)) >>> 0),
    length,
  );
}
