import type { Compare } from './keyspace.js';
import { MAX_VALUE, type Store } from './store.js';

/** Bytes that may be more than one value, cut into pieces: `KEY/0`, `KEY/1` ... */

export function pieceCount(bytes: Uint8Array): number {
  return Math.max(1, Math.ceil(bytes.length / MAX_VALUE));
}

/** The keys of so many pieces. */
export function pieceKeys(key: string, pieces: number): string[] {
  return Array.from({ length: pieces }, (_, at) => `${key}/${at}`);
}

/**
 * Writes them one transaction each, every one only where the comparisons hold.
 * @returns false when they did not hold; some pieces may have been written then
 * @throws StoreError
 */
export async function writePieces(
  store: Store,
  key: string,
  bytes: Uint8Array,
  compare: readonly Compare[],
): Promise<boolean> {
  for (const [at, name] of pieceKeys(key, pieceCount(bytes)).entries()) {
    const value = bytes.subarray(at * MAX_VALUE, (at + 1) * MAX_VALUE);
    if (!(await store.transact({ compare, puts: [{ key: name, value }] })).done) return false;
  }
  return true;
}

/** @returns null when a piece is not there. @throws StoreError */
export async function readPieces(store: Store, key: string, pieces: number): Promise<Uint8Array | null> {
  const found = await Promise.all(pieceKeys(key, pieces).map((name) => store.get(name)));
  const values: Uint8Array[] = [];
  for (const entry of found) {
    if (entry === null) return null;
    values.push(entry.value);
  }
  return values.length === 1 ? values[0] : Buffer.concat(values);
}
