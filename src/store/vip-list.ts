import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { pieceCount, pieceKeys, readPieces, writePieces } from './pieces.js';
import { decodeRecord, encodeRecord, Keys } from './records.js';
import { type Entry, type Store, StoreError } from './store.js';

/**
 * How VIP ranges lie in the store: `vips/TRAFFICSET` says which list is in force; the lists lie under
 * `vip-ranges/TRAFFICSET/`, each under a name of its own, as lines of text in pieces. Two who edit at the same time
 * cannot get their pieces mixed.
 */

const RANGES = 'vip-ranges/';

const manifest = z.object({
  version: z.int().min(1),
  /** Name of the list under `vip-ranges/TRAFFICSET/`. */
  list: z.string(),
  pieces: z.int().min(1).max(1024),
  /** Of the list's bytes. */
  sha256: z.string(),
  count: z.int().min(0),
  /** The list before, which stays for those who are reading it. */
  older: z.object({ list: z.string(), pieces: z.int().min(1).max(1024) }).nullable(),
});
type Manifest = z.output<typeof manifest>;

/** The ranges of a trafficset that are in force beside those of cluster.yaml. */
export interface VipRanges {
  readonly trafficset: string;
  /** Counts edits; 0: there has been none. */
  readonly version: number;
  /** As `Prefix.toString()` writes them, IPv4 first, each by address and length. */
  readonly ranges: readonly string[];
}

/** With the digest of the list. */
export type ReadVips = VipRanges & { readonly sha256: string };

/** The list that a manifest names. @returns null when there are newer ones than it. @throws StoreError `damaged` */
export async function readList(store: Store, entry: Entry): Promise<ReadVips | null> {
  const trafficset = entry.key.slice(Keys.vips.length);
  const current = decodeRecord(manifest, entry.value);
  if (current === null) {
    throw new StoreError('damaged', `${entry.key} cannot be read: damaged, or written by a newer release`);
  }
  const key = listKey(trafficset, current.list);
  const bytes = await readPieces(store, key, current.pieces);
  if (bytes === null || digest(bytes) !== current.sha256) {
    // Lists go when there are newer ones.
    const now = await store.get(entry.key);
    if (now?.revision !== entry.revision) return null;
    throw new StoreError(
      'damaged',
      `${key} ${bytes === null ? 'is missing' : 'is not what was written'}: delete ${entry.key} and add the ranges anew`,
    );
  }
  const text = Buffer.from(bytes).toString();
  const ranges = text === '' ? [] : text.trimEnd().split('\n');
  return { trafficset, version: current.version, ranges, sha256: current.sha256 };
}

/** What is in force, for one who wants to replace it. */
export interface Current {
  /** Of the manifest's entry, 0 = none. */
  readonly revision: number;
  readonly manifest: Manifest | null;
}

/** @throws StoreError */
export async function readCurrent(store: Store, trafficset: string): Promise<Current & VipRanges> {
  for (;;) {
    const entry = await store.get(Keys.vips + trafficset);
    if (entry === null) return { revision: 0, manifest: null, trafficset, version: 0, ranges: [] };
    const list = await readList(store, entry);
    if (list === null) continue;
    return { ...list, revision: entry.revision, manifest: decodeRecord(manifest, entry.value) };
  }
}

/** @returns false when somebody else was first */
export async function writeList(store: Store, next: VipRanges, now: Current): Promise<boolean> {
  const { trafficset, version, ranges } = next;
  const bytes = Buffer.from(ranges.map((range) => `${range}\n`).join(''));
  const list = `${version}-${randomBytes(4).toString('hex')}`;
  const key = listKey(trafficset, list);
  const pieces = pieceCount(bytes);
  const compare = [{ key: Keys.vips + trafficset, revision: now.revision }];
  const record: Manifest = {
    version,
    list,
    pieces,
    sha256: digest(bytes),
    count: ranges.length,
    older: now.manifest === null ? null : { list: now.manifest.list, pieces: now.manifest.pieces },
  };
  const older = now.manifest?.older;
  const deletes = older ? pieceKeys(listKey(trafficset, older.list), older.pieces) : [];
  if (await writePieces(store, key, bytes, compare)) {
    const puts = [{ key: Keys.vips + trafficset, value: encodeRecord(record) }];
    if ((await store.transact({ compare, puts, deletes })).done) return true;
  }
  await store.transact({ deletes: pieceKeys(key, pieces) });
  return false;
}

function listKey(trafficset: string, list: string): string {
  return `${RANGES}${trafficset}/${list}`;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
