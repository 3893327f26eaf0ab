import type { PlannerState } from './plan/index.js';

/** Buckets with a second hop. */
export function secondHopsOf({ slots }: Pick<PlannerState, 'slots'>): number {
  let count = 0;
  for (let at = 1; at < slots.length; at += 2) if (slots[at] !== 0) count++;
  return count;
}
