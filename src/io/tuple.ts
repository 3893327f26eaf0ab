import { type SocketQueries, TUPLE_WORDS } from '../path/sockets.js';

const WORDS = TUPLE_WORDS;

/**
 * Seeded 32-bit hash of query `index` (the rounds of MurmurHash3). Who does not know the seed cannot choose slots;
 * who does can slow lookups down, never falsify them: tables compare whole tuples.
 */
export function hashTuple(queries: SocketQueries, index: number, seed: number): number {
  const { words } = queries;
  const at = index * WORDS;
  const version = queries.version[index];
  let hash = mix(seed ^ version, words[at]);
  hash = mix(hash, words[at + 4]);
  hash = mix(hash, words[at + 8]);
  // The other words of an IPv4 tuple are zero.
  if (version !== 4) {
    hash = mix(hash, words[at + 1]);
    hash = mix(hash, words[at + 2]);
    hash = mix(hash, words[at + 3]);
    hash = mix(hash, words[at + 5]);
    hash = mix(hash, words[at + 6]);
    hash = mix(hash, words[at + 7]);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function mix(hash: number, word: number): number {
  const scattered = Math.imul(word, 0xcc9e2d51);
  const mixed = hash ^ Math.imul((scattered << 15) | (scattered >>> 17), 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** Copies query `from` of `source` over query `to` of `target`. */
export function copyQuery(source: SocketQueries, from: number, target: SocketQueries, to: number): void {
  target.version[to] = source.version[from];
  target.protocol[to] = source.protocol[from];
  for (let word = 0; word < WORDS; word++) {
    target.words[to * WORDS + word] = source.words[from * WORDS + word];
  }
}
