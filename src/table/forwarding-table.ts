import { TableError } from './errors.js';

/**
 * The forwarding table of one trafficset: a power-of-two array of buckets, each with the DIP of its first hop and,
 * where the bucket was changed, the DIP it had before (the second hop). Immutable by convention: an edit makes a
 * new table with a higher version (see `edit.ts`), and a packet only ever sees one of them.
 *
 * The rows lie in shared memory, so that the main thread can publish a table to its workers without copying.
 */

/** Most buckets a table may have: 128 MiB of rows, a hundred buckets each for 160,000 servers. */
export const MAX_BUCKETS = 1 << 24;

/** Bytes of the secret that keys the flow hash. */
export const HASH_KEY_LENGTH = 8;

/** Names of trafficsets and servers: they appear in file names, metrics labels and socket paths. */
export const NAME_PATTERN = /^[a-z0-9-]{1,64}$/;

export interface ForwardingTableInit {
  /** Name of the trafficset, {@link NAME_PATTERN}. */
  readonly trafficset: string;
  /** Counts edits: a safe integer from 0. */
  readonly version: number;
  /** {@link HASH_KEY_LENGTH} bytes; copied. */
  readonly hashKey: Uint8Array;
  /** Rows as in {@link ForwardingTable.slots}; taken over when already in shared memory, else copied. */
  readonly slots: Uint32Array;
  /** As in {@link ForwardingTable.members}, where they are known; found out when asked for otherwise. */
  readonly members?: Uint32Array;
}

/** A table as a plain object that `postMessage` can carry; the rows stay where they are. */
export interface SharedTable {
  readonly trafficset: string;
  readonly version: number;
  readonly hashKey: Uint8Array;
  readonly rows: SharedArrayBuffer;
  /** As in {@link ForwardingTable.members}. */
  readonly members: Uint32Array;
}

/** In how many buckets a server stands, by role. */
export interface ServerCount {
  /** Host-order IPv4 address. */
  readonly dip: number;
  readonly first: number;
  readonly second: number;
}

export class ForwardingTable {
  readonly trafficset: string;
  readonly version: number;
  /** The secret of the flow hash, {@link HASH_KEY_LENGTH} bytes. */
  readonly hashKey: Uint8Array;
  /** Bytes 0..3 of the key as a little-endian int32 (signed, so that V8 keeps it as a small integer). */
  readonly key0: number;
  /** Bytes 4..7 of the key, likewise. */
  readonly key1: number;
  /** A power of two. */
  readonly bucketCount: number;
  /** `bucketCount - 1`: bucket = hash & mask. */
  readonly mask: number;
  /** Row b is `[2 * b]` first hop and `[2 * b + 1]` second hop: host-order IPv4 addresses, 0 = none. */
  readonly slots: Uint32Array;
  private known: Uint32Array | null;

  /**
   * Checks the form (name, version, key, number of buckets), not the rows: see `rows.ts`.
   * @throws TableError `bad-name`, `bad-version`, `bad-hash-key`, `bad-bucket-count`
   */
  constructor(init: ForwardingTableInit) {
    checkName(init.trafficset);
    checkVersion(init.version);
    checkHashKey(init.hashKey);
    checkBucketCount(init.slots.length / 2);
    this.trafficset = init.trafficset;
    this.version = init.version;
    this.hashKey = Uint8Array.from(init.hashKey);
    const key = new DataView(this.hashKey.buffer);
    this.key0 = key.getInt32(0, true);
    this.key1 = key.getInt32(4, true);
    this.bucketCount = init.slots.length / 2;
    this.mask = this.bucketCount - 1;
    this.slots = isShared(init.slots) ? init.slots : copyToShared(init.slots);
    this.known = init.members ?? null;
  }

  /** Every server that stands in the table, in whichever slot: ascending addresses in host order. */
  get members(): Uint32Array {
    this.known ??= findMembers(this.slots);
    return this.known;
  }

  /** Takes up a table that another thread made; nothing is copied but the key. */
  static fromShared(shared: SharedTable): ForwardingTable {
    return new ForwardingTable({ ...shared, slots: new Uint32Array(shared.rows) });
  }

  /** For `postMessage`: the receiver calls {@link ForwardingTable.fromShared}. */
  shared(): SharedTable {
    const rows = this.slots.buffer;
    if (!(rows instanceof SharedArrayBuffer)) throw new TypeError('rows are not in shared memory');
    const { trafficset, version, hashKey, members } = this;
    return { trafficset, version, hashKey, rows, members };
  }

  /** First hop of a bucket, 0 = none. For cold paths; hot ones read {@link slots}. */
  firstHop(bucket: number): number {
    return this.slots[2 * bucket];
  }

  /** Second hop of a bucket, 0 = none. For cold paths. */
  secondHop(bucket: number): number {
    return this.slots[2 * bucket + 1];
  }

  /** Every server of the table with its number of first and second slots, by address. */
  servers(): ServerCount[] {
    const first = new Map<number, number>();
    const second = new Map<number, number>();
    for (let at = 0; at < this.slots.length; at += 2) {
      increment(first, this.slots[at]);
      increment(second, this.slots[at + 1]);
    }
    return [...new Set([...first.keys(), ...second.keys()])]
      .filter((dip) => dip !== 0)
      .sort((a, b) => a - b)
      .map((dip) => ({ dip, first: first.get(dip) ?? 0, second: second.get(dip) ?? 0 }));
  }
}

/** Rows of a new table, all empty, in shared memory. */
export function newSlots(bucketCount: number): Uint32Array {
  checkBucketCount(bucketCount);
  return new Uint32Array(new SharedArrayBuffer(8 * bucketCount));
}

/** @throws TableError `bad-name` */
export function checkName(name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new TableError(
    'bad-name',
    `trafficset name ${JSON.stringify(name)} is not allowed: use 1 to 64 of a-z, 0-9 and "-"`,
  );
}

/** @throws TableError `bad-version` */
export function checkVersion(version: number): void {
  if (Number.isSafeInteger(version) && version >= 0) return;
  throw new TableError('bad-version', `table version ${version} is not a whole number from 0 to 2^53 - 1`);
}

/** @throws TableError `bad-hash-key` */
export function checkHashKey(key: Uint8Array): void {
  if (key.length === HASH_KEY_LENGTH) return;
  throw new TableError('bad-hash-key', `the hash key has ${key.length} bytes: give ${HASH_KEY_LENGTH}`);
}

/** @throws TableError `bad-bucket-count` */
export function checkBucketCount(count: number): void {
  const powerOfTwo =
    Number.isInteger(count) && count >= 1 && count <= MAX_BUCKETS && (count & (count - 1)) === 0;
  if (powerOfTwo) return;
  throw new TableError(
    'bad-bucket-count',
    `${count} buckets are not possible: use a power of two from 1 to ${MAX_BUCKETS}`,
  );
}

function findMembers(slots: Uint32Array): Uint32Array {
  const found = new Set(slots);
  found.delete(0);
  const members = new Uint32Array(new SharedArrayBuffer(4 * found.size));
  members.set([...found]);
  return members.sort();
}

function isShared(slots: Uint32Array): boolean {
  // A view of part of a buffer is copied: `fromShared` takes the whole buffer for rows.
  return slots.buffer instanceof SharedArrayBuffer && slots.byteLength === slots.buffer.byteLength;
}

function copyToShared(slots: Uint32Array): Uint32Array {
  const copy = newSlots(slots.length / 2);
  copy.set(slots);
  return copy;
}

function increment(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
