import { formatIpv4 } from './address.js';
import { TableError } from './errors.js';

/** A row that must not be: a node would drop the bucket's packets, or send them round in a circle. */
export interface BadRow {
  readonly bucket: number;
  readonly code: 'empty-first-hop' | 'same-slots';
}

/** The first bad row from bucket `from` on, if any. */
export function findBadRow(slots: Uint32Array, from = 0): BadRow | undefined {
  for (let bucket = from; 2 * bucket < slots.length; bucket++) {
    const first = slots[2 * bucket];
    if (first === 0) return { bucket, code: 'empty-first-hop' };
    if (first === slots[2 * bucket + 1]) return { bucket, code: 'same-slots' };
  }
  return undefined;
}

/** @throws TableError `empty-first-hop`, `same-slots` */
export function refuseBadRow(slots: Uint32Array, consequence: string): void {
  const bad = findBadRow(slots);
  if (bad === undefined) return;
  const first = slots[2 * bad.bucket];
  const what = bad.code === 'same-slots' ? `has ${formatIpv4(first)} in both slots` : 'has no first hop';
  throw new TableError(bad.code, `bucket ${bad.bucket} ${what}: ${consequence}; correct the row`);
}
