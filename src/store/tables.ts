import type { ForwardingTable } from '../table/forwarding-table.js';
import { refuseBadRow } from '../table/rows.js';
import { encodeSnapshot } from '../table/snapshot.js';
import type { Compare } from './keyspace.js';
import { pieceCount, pieceKeys, writePieces } from './pieces.js';
import { decodeRecord, encodeRecord, Keys, type PlannerRecord, plannerRecord } from './records.js';
import { MAX_VALUE, type Store, StoreError } from './store.js';
import { type AgedRows, encodeDifference } from './table-difference.js';
import { type TableBase, type TableHead, TableKeys, tableDigest, tableHead } from './table-head.js';
import { readTable } from './table-read.js';

export { followTables, type TableArrival, type TableEvents, type TableFollowing } from './follow-tables.js';

/** What the conductor keeps of a trafficset, and publishes together. */
export interface Publication {
  readonly table: ForwardingTable;
  /** Unix time in seconds at which each bucket was changed last. */
  readonly changedAt: Uint32Array;
  /** Of the table's version. */
  readonly planner: PlannerRecord;
}

/** What is in the store, as it was read or written last. */
export interface Published extends Publication {
  readonly head: TableHead;
  /** Of the head's entry: the next publication must find it so. */
  readonly headRevision: number;
}

export type PublishResult =
  | {
      readonly published: true;
      readonly state: Published;
      readonly as: 'base' | 'difference' | 'difference and base';
      /** Written, in values. */
      readonly bytes: number;
      /** That a node reads that had the version before: the head, and the difference or the base. */
      readonly nodeBytes: number;
    }
  /** The guard did not hold, or somebody else published: what is in the store was left as it is. */
  | { readonly published: false };

/** Differences in a row that a node which has just come reads behind a base. */
const MOST_DIFFERENCES = 200;

/**
 * Puts a new version of a table into the store. Nodes see all of it or nothing: everything they need is there before the
 * head names it, and the head is written in one transaction with the guard.
 *
 * It is a difference where that is smaller than the table; a whole table is written beside it when the differences have
 * outgrown one.
 * @param previous what {@link readPublished} or the last call gave; null: there must be nothing yet
 * @param guard must hold with each write: the leader's key, as it was `created`
 * @throws StoreError; with code `uncertain` it may have been published: read it again
 * @throws TableError `empty-first-hop`, `same-slots`: what no node would accept
 * @throws RangeError when the version is not above the previous one
 */
export async function publishTable(
  store: Store,
  publication: Publication,
  previous: Published | null,
  guard: readonly Compare[],
): Promise<PublishResult> {
  const { table, changedAt, planner } = publication;
  const { trafficset, version, bucketCount } = table;
  if (previous !== null && version <= previous.table.version) {
    throw new RangeError(`version ${version} is published after version ${previous.table.version}`);
  }
  if (changedAt.length !== bucketCount || planner.version !== version) {
    throw new RangeError(`what belongs to version ${version} of ${trafficset} does not fit it`);
  }
  // What writes differences does not look at the rows.
  refuseBadRow(table.slots, 'the table is not published');
  const compare = [...guard, { key: TableKeys.head(trafficset), revision: previous?.headRevision ?? 0 }];
  const kept = await removeOldBases(store, trafficset, previous, compare);
  if (kept === null) return { published: false };

  const delta = differenceOf(previous, publication);
  const sum = delta === null ? 0 : (previous?.head.delta_bytes ?? 0) + delta.length;
  const newest = kept.at(0);
  const outgrown = newest === undefined || sum > newest.bytes || version - newest.version > MOST_DIFFERENCES;
  let written = 0;
  const bases = [...kept];
  if (delta === null || outgrown) {
    const base = await writeBase(store, publication, compare);
    if (base === null) return { published: false };
    bases.unshift(base);
    written += base.bytes + changedAt.byteLength;
  }
  const head: TableHead = {
    format: 1,
    version,
    sha256: tableDigest(table),
    buckets: bucketCount,
    bases,
    deltas_from: delta === null ? version : firstDelta(previous, kept),
    delta_bytes: outgrown ? 0 : sum,
  };
  const puts = [
    ...(delta === null ? [] : [{ key: TableKeys.delta(trafficset, version), value: delta }]),
    { key: Keys.planner(trafficset), value: encodeRecord(planner) },
    { key: TableKeys.head(trafficset), value: encodeRecord(head) },
  ];
  const result = await store.transact({ compare, puts });
  if (!result.done) return { published: false };
  for (const { value } of puts) written += value.length;
  const headBytes = puts[puts.length - 1].value.length;
  return {
    published: true,
    state: { ...publication, head, headRevision: result.revision },
    as: delta === null ? 'base' : outgrown ? 'difference and base' : 'difference',
    bytes: written,
    nodeBytes: headBytes + (delta?.length ?? bases[0].bytes),
  };
}

/**
 * What is published of a trafficset, with all that only the conductor needs.
 * @returns null when there is nothing
 * @throws StoreError `damaged` when it cannot be read; a new table must not be made then
 */
export async function readPublished(store: Store, trafficset: string): Promise<Published | null> {
  for (;;) {
    const entry = await store.get(TableKeys.head(trafficset));
    if (entry === null) return null;
    let published: Publication & { head: TableHead };
    try {
      published = await readAt(store, trafficset, entry.value);
    } catch (error) {
      // Pieces go and records change while they are read: what counts is what is there with one and the same head.
      if ((await store.get(entry.key))?.revision !== entry.revision) continue;
      throw error;
    }
    if ((await store.get(entry.key))?.revision === entry.revision) {
      return { ...published, headRevision: entry.revision };
    }
  }
}

async function readAt(
  store: Store,
  trafficset: string,
  value: Uint8Array,
): Promise<Publication & { head: TableHead }> {
  const head = decodeRecord(tableHead, value);
  if (head === null) throw damagedHead(trafficset);
  const { table, changedAt } = await readTable(store, trafficset, head, null, true);
  const planner = await store.get(Keys.planner(trafficset));
  const record = planner === null ? null : decodeRecord(plannerRecord, planner.value);
  return {
    table,
    changedAt: changedAt ?? new Uint32Array(table.bucketCount),
    // Without it the table is as good: the control loop begins anew.
    planner: record ?? { version: head.version, corrections: {} },
    head,
  };
}

/** @returns null when the whole table is smaller, or there is nothing that it could be a difference to */
function differenceOf(previous: Published | null, next: Publication): Uint8Array | null {
  if (previous === null) return null;
  const { table } = previous;
  if (next.table.version !== table.version + 1) return null;
  if (next.table.bucketCount !== table.bucketCount) return null;
  if (Buffer.compare(next.table.hashKey, table.hashKey) !== 0) return null;
  const delta = encodeDifference(agedRows(previous), agedRows(next));
  return delta.length < Math.min(next.table.slots.byteLength, MAX_VALUE / 2) ? delta : null;
}

function agedRows({ table, changedAt }: Publication): AgedRows {
  return { version: table.version, slots: table.slots, changedAt };
}

/** From which version on there are differences, when those before the oldest base that stays are gone. */
function firstDelta(previous: Published | null, kept: readonly TableBase[]): number {
  return Math.max(previous?.head.deltas_from ?? 0, kept.at(-1)?.version ?? 0);
}

async function writeBase(
  store: Store,
  { table, changedAt }: Publication,
  compare: readonly Compare[],
): Promise<TableBase | null> {
  const { trafficset, version } = table;
  const bytes = encodeSnapshot(table);
  const ages = new Uint8Array(4 * changedAt.length);
  const data = new DataView(ages.buffer);
  for (const [bucket, time] of changedAt.entries()) data.setUint32(4 * bucket, time);
  const done =
    (await writePieces(store, TableKeys.base(trafficset, version), bytes, compare)) &&
    (await writePieces(store, TableKeys.ages(trafficset, version), ages, compare));
  return done ? { version, pieces: pieceCount(bytes), ages: pieceCount(ages), bytes: bytes.length } : null;
}

/**
 * Deletes bases that have had two newer ones, and the differences before the oldest that stays. The head still names
 * them: what a crash leaves undone is done the next time.
 * @returns the bases that stay; null when the comparisons did not hold
 */
async function removeOldBases(
  store: Store,
  trafficset: string,
  previous: Published | null,
  compare: readonly Compare[],
): Promise<TableBase[] | null> {
  if (previous === null) return [];
  const { bases } = previous.head;
  const kept = bases.slice(0, 2);
  const old = bases.slice(2);
  if (old.length === 0) return kept;
  const keys = old.flatMap((base, at) => [
    ...pieceKeys(TableKeys.base(trafficset, base.version), base.pieces),
    ...pieceKeys(TableKeys.ages(trafficset, base.version), base.ages),
    ...deltaKeys(trafficset, base.version, bases[at + 1].version),
  ]);
  for (let at = 0; at < keys.length; at += 50) {
    const { done } = await store.transact({ compare, deletes: keys.slice(at, at + 50) });
    if (!done) return null;
  }
  return kept;
}

/** There is none behind a version that was left out, but deleting what is not there does no harm. */
function deltaKeys(trafficset: string, base: number, next: number): string[] {
  const last = Math.min(next, base + MOST_DIFFERENCES + 1);
  return Array.from({ length: last - base }, (_, at) => TableKeys.delta(trafficset, base + 1 + at));
}

function damagedHead(trafficset: string): StoreError {
  return new StoreError(
    'damaged',
    `${TableKeys.head(trafficset)} cannot be read: it was overwritten, or a newer release wrote it; ` +
      'put back what was there, or delete it to begin with a new table',
  );
}
