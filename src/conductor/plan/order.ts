/** Bits of one pass of the sort. */
const DIGIT = 16;

/**
 * Buckets by the time of their last change, the oldest first; those of the same time in the order given. A radix sort:
 * its time grows with the number of buckets alone.
 *
 * @param buckets is used as scratch space
 */
export function oldestFirst(buckets: Uint32Array, changedAt: Uint32Array): Uint32Array {
  const other = new Uint32Array(buckets.length);
  sortByDigit(buckets, other, changedAt, 0);
  sortByDigit(other, buckets, changedAt, DIGIT);
  return buckets;
}

function sortByDigit(from: Uint32Array, to: Uint32Array, changedAt: Uint32Array, shift: number): void {
  const mask = (1 << DIGIT) - 1;
  const starts = new Uint32Array(mask + 2);
  for (const bucket of from) starts[((changedAt[bucket] >>> shift) & mask) + 1]++;
  for (let digit = 1; digit < starts.length; digit++) starts[digit] += starts[digit - 1];
  for (const bucket of from) to[starts[(changedAt[bucket] >>> shift) & mask]++] = bucket;
}
