import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import { z } from 'zod';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { Keys } from './records.js';

/**
 * Where a trafficset's forwarding table lies in the store.
 *
 * | key | what |
 * |---|---|
 * | `tables/TS/head` | {@link tableHead}: which version there is, and how to come by it |
 * | `tables/TS/base/VERSION/N` | pieces of the whole table (`table/snapshot.ts`), now and then |
 * | `tables/TS/ages/VERSION/N` | for the conductor: pieces of when each bucket of that base was changed, uint32 |
 * | `tables/TS/delta/VERSION` | what changed from VERSION - 1 to VERSION (`table-difference.ts`) |
 */
export const TableKeys = {
  head: (trafficset: string) => `${Keys.tables}${trafficset}/head`,
  base: (trafficset: string, version: number) => `${Keys.tables}${trafficset}/base/${version}`,
  ages: (trafficset: string, version: number) => `${Keys.tables}${trafficset}/ages/${version}`,
  delta: (trafficset: string, version: number) => `${Keys.tables}${trafficset}/delta/${version}`,
} as const;

const version = z.int().min(0);

export const tableBase = z.object({
  version,
  /** Pieces of the table and of its ages. */
  pieces: z.int().min(1).max(1024),
  ages: z.int().min(1).max(1024),
  /** Of the table, in all pieces. */
  bytes: z.int().min(1),
});
export type TableBase = z.output<typeof tableBase>;

export const tableHead = z.object({
  format: z.literal(1),
  version,
  /** Of the rows, and what they belong to: {@link tableDigest}. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  buckets: z.int().min(1),
  /**
   * The newest first. A second one, and the differences from it on, stay for those who are reading it; more are about to
   * be deleted.
   */
  bases: z.array(tableBase).min(1),
  /** From this version on, the differences lead without a gap to `version`. */
  deltas_from: version,
  /** Bytes of the differences since the newest base. */
  delta_bytes: z.int().min(0),
});
export type TableHead = z.output<typeof tableHead>;

/** SHA-256 over everything in a table; the rows as they lie in memory of a little-endian machine. */
export function tableDigest(table: ForwardingTable): string {
  const { trafficset, version, bucketCount, slots } = table;
  const key = Buffer.from(table.hashKey).toString('hex');
  const rows = Buffer.from(slots.buffer, slots.byteOffset, slots.byteLength);
  return createHash('sha256')
    .update(`twohop table ${trafficset} ${version} ${bucketCount} ${key}\n`)
    .update(endianness() === 'LE' ? rows : Buffer.from(rows).swap32())
    .digest('hex');
}
