import { TableError } from '../table/errors.js';
import { ForwardingTable, newSlots } from '../table/forwarding-table.js';
import { refuseBadRow } from '../table/rows.js';
import { decodeSnapshot } from '../table/snapshot.js';
import { readPieces } from './pieces.js';
import { type Store, StoreError } from './store.js';
import { decodeDifference } from './table-difference.js';
import { type TableBase, type TableHead, TableKeys, tableDigest } from './table-head.js';

export interface ReadTable {
  readonly table: ForwardingTable;
  /** Unix time in seconds at which each bucket was changed last; null when it was not asked for. */
  readonly changedAt: Uint32Array | null;
  /** Whether differences led to it from the table that was held, or a whole table was read. */
  readonly how: 'base' | 'differences';
  /** Values that were read, together. */
  readonly bytes: number;
}

/** Where reading can begin. */
interface Start {
  readonly how: ReadTable['how'];
  readonly version: number;
  begin(): Promise<{ table: ForwardingTable; changedAt: Uint32Array | null; bytes: number }>;
}

/**
 * Reads the table that a head names, and holds it against the head's digest. Where one way to it is damaged another is
 * tried: differences from what is held, the newest base, the base before.
 * @param held a table that the reader has, from which differences may lead on
 * @param ages whether `changedAt` is wanted; not from what is held then
 * @throws StoreError `damaged` when no way leads to it, naming what is wrong with the first
 */
export async function readTable(
  store: Store,
  trafficset: string,
  head: TableHead,
  held: ForwardingTable | null,
  ages: boolean,
): Promise<ReadTable> {
  const starts: Start[] = head.bases
    .filter(({ version }) => version >= head.deltas_from)
    .map((base) => ({
      how: 'base',
      version: base.version,
      begin: () => readBase(store, trafficset, base, ages),
    }));
  if (held !== null && leadsOn(held, head)) {
    const begin = async () => ({ table: held, changedAt: null, bytes: 0 });
    starts.unshift({ how: 'differences', version: held.version, begin });
  }
  let failure: unknown;
  for (const start of starts) {
    try {
      return await readFrom(store, trafficset, head, start);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'damaged')) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

function leadsOn(held: ForwardingTable, head: TableHead): boolean {
  return held.version >= head.deltas_from && held.version < head.version && held.bucketCount === head.buckets;
}

async function readFrom(store: Store, trafficset: string, head: TableHead, start: Start): Promise<ReadTable> {
  const keys: string[] = [];
  for (let version = start.version + 1; version <= head.version; version++) {
    keys.push(TableKeys.delta(trafficset, version));
  }
  const [begun, ...deltas] = await Promise.all([start.begin(), ...keys.map((key) => store.get(key))]);
  let { bytes } = begun;
  const slots = newSlots(head.buckets);
  slots.set(begun.table.slots);
  for (const [at, delta] of deltas.entries()) {
    const key = keys[at];
    if (delta === null) throw new StoreError('damaged', `${key} is missing`);
    const difference = decodeDifference(delta.value, key);
    const { from, to, bucketCount } = difference;
    if (to !== start.version + 1 + at || from !== to - 1 || bucketCount !== head.buckets) {
      throw new StoreError('damaged', `${key} leads from version ${from} to ${to} of ${bucketCount} buckets`);
    }
    difference.apply(slots, begun.changedAt);
    bytes += delta.value.length;
  }
  const { hashKey } = begun.table;
  const table = new ForwardingTable({ trafficset, version: head.version, hashKey, slots });
  if (tableDigest(table) !== head.sha256) throw otherRows(trafficset, head.version);
  refuseBad(table);
  return { table, changedAt: begun.changedAt, how: start.how, bytes };
}

async function readBase(store: Store, trafficset: string, base: TableBase, ages: boolean) {
  const key = TableKeys.base(trafficset, base.version);
  const bytes = await readPieces(store, key, base.pieces);
  if (bytes === null) throw new StoreError('damaged', `${key}: a piece is missing`);
  const table = decode(bytes, key);
  if (table.trafficset !== trafficset || table.version !== base.version) {
    throw new StoreError('damaged', `${key} is version ${table.version} of trafficset ${table.trafficset}`);
  }
  if (!ages) return { table, changedAt: null, bytes: bytes.length };
  const changedAt = await readAges(store, trafficset, base, table.bucketCount);
  return { table, changedAt, bytes: bytes.length + changedAt.byteLength };
}

function decode(bytes: Uint8Array, key: string): ForwardingTable {
  try {
    return decodeSnapshot(bytes);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new StoreError('damaged', `${key}: ${error.message}`, { cause: error });
  }
}

async function readAges(
  store: Store,
  trafficset: string,
  base: TableBase,
  buckets: number,
): Promise<Uint32Array> {
  const key = TableKeys.ages(trafficset, base.version);
  const bytes = await readPieces(store, key, base.ages);
  if (bytes?.length !== 4 * buckets) {
    throw new StoreError('damaged', `${key} has ${bytes?.length ?? 0} bytes, expected ${4 * buckets}`);
  }
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: buckets }, (_, bucket) => data.getUint32(4 * bucket));
}

/** What no node would take was not published by us either, but whoever can write to the store could. */
function refuseBad(table: ForwardingTable): void {
  try {
    refuseBadRow(table.slots, 'the table is not usable');
  } catch (error) {
    throw new StoreError('damaged', error instanceof Error ? error.message : String(error));
  }
}

function otherRows(trafficset: string, version: number): StoreError {
  return new StoreError(
    'damaged',
    `the rows of version ${version} of ${trafficset} are not those that were published: ` +
      `what lies under tables/${trafficset}/ was changed by hand or damaged`,
  );
}
