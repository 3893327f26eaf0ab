import { type SocketQueries, TUPLE_SIZE } from '../path/sockets.js';

/** 32-bit words of a tuple. */
export const TUPLE_WORDS = TUPLE_SIZE / 4;

/**
 * Seeded 32-bit hash of query `index` (the rounds of MurmurHash3). Who does not know the seed cannot choose slots;
 * who does can slow lookups down, never falsify them: tables compare whole tuples.
 */
export function hashTuple(queries: SocketQueries, index: number, seed: number): number {
  const data = queries.tuplesData;
  const at = index * TUPLE_SIZE;
  let hash = seed ^ queries.version[index];
  for (let word = 0; word < TUPLE_SIZE; word += 4) {
    let mixed = Math.imul(data.getInt32(at + word, true), 0xcc9e2d51);
    mixed = (mixed << 15) | (mixed >>> 17);
    hash ^= Math.imul(mixed, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Whether query `a` of `left` and query `b` of `right` ask for the same flow. */
export function sameQuery(left: SocketQueries, a: number, right: SocketQueries, b: number): boolean {
  if (left.version[a] !== right.version[b] || left.protocol[a] !== right.protocol[b]) return false;
  const from = a * TUPLE_SIZE;
  const to = b * TUPLE_SIZE;
  for (let word = 0; word < TUPLE_SIZE; word += 4) {
    if (left.tuplesData.getInt32(from + word) !== right.tuplesData.getInt32(to + word)) return false;
  }
  return true;
}

/** Copies query `from` of `source` over query `to` of `target`. */
export function copyQuery(source: SocketQueries, from: number, target: SocketQueries, to: number): void {
  target.version[to] = source.version[from];
  target.protocol[to] = source.protocol[from];
  for (let word = 0; word < TUPLE_SIZE; word += 4) {
    target.tuplesData.setInt32(to * TUPLE_SIZE + word, source.tuplesData.getInt32(from * TUPLE_SIZE + word));
  }
}
