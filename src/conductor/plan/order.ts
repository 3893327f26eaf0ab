/** Three passes of 11 bits cover the 32 bits of a time; their counters are few enough for small tables. */
const DIGIT = 11;
const PASSES = 3;

/**
 * Buckets by the time of their last change, the oldest first; those of the same time in the order given. A radix sort:
 * its time grows with the number of buckets alone.
 *
 * @param buckets is used as scratch space
 */
export function oldestFirst(buckets: Uint32Array, changedAt: Uint32Array): Uint32Array {
  let from = buckets;
  let to: Uint32Array = new Uint32Array(buckets.length);
  for (let pass = 0; pass < PASSES; pass++) {
    sortByDigit(from, to, changedAt, pass * DIGIT);
    [from, to] = [to, from];
  }
  return from;
}

function sortByDigit(from: Uint32Array, to: Uint32Array, changedAt: Uint32Array, shift: number): void {
  const mask = (1 << DIGIT) - 1;
  const starts = new Uint32Array(mask + 2);
  for (const bucket of from) starts[((changedAt[bucket] >>> shift) & mask) + 1]++;
  for (let digit = 1; digit < starts.length; digit++) starts[digit] += starts[digit - 1];
  for (const bucket of from) to[starts[(changedAt[bucket] >>> shift) & mask]++] = bucket;
}
