import type { HopScheme } from './types.js';

/** Which slot of a row is whose, by scheme. */

/** Who gets new flows of a bucket. */
export function newcomerOf(scheme: HopScheme, slots: Uint32Array, bucket: number): number {
  const first = slots[2 * bucket];
  return scheme === 'switched' ? slots[2 * bucket + 1] || first : first;
}

/** Who only keeps old flows of a bucket; 0 = nobody. */
export function holderOf(scheme: HopScheme, slots: Uint32Array, bucket: number): number {
  if (scheme === 'single') return 0;
  const second = slots[2 * bucket + 1];
  return scheme === 'switched' && second !== 0 ? slots[2 * bucket] : scheme === 'switched' ? 0 : second;
}

/** @param holder 0 = nobody */
export function writeRow(
  scheme: HopScheme,
  slots: Uint32Array,
  bucket: number,
  newcomer: number,
  holder: number,
): void {
  const switched = scheme === 'switched' && holder !== 0;
  slots[2 * bucket] = switched ? holder : newcomer;
  slots[2 * bucket + 1] = switched ? newcomer : holder;
}

/** Each number as often in a row as `counts` says, in ascending order. */
export function repeatNumbers(counts: Uint32Array): Uint32Array {
  const repeated = new Uint32Array(counts.reduce((sum, count) => sum + count, 0));
  let next = 0;
  for (const [number, count] of counts.entries()) {
    repeated.fill(number, next, next + count);
    next += count;
  }
  return repeated;
}
