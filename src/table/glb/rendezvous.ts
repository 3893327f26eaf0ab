import { SipHash24 } from '../../flow/siphash.js';
import type { GlbTableSource } from './forwarding-json.js';
import { GLB_ROWS, type GlbBackend, type GlbTable } from './glb-table.js';

/**
 * Fills the rows of a GLB table by rendezvous hashing: every row ranks all backends by a hash of its own, and takes the
 * first two. A backend that comes or goes changes only the rows in which it ranks so high.
 *
 * A row's seed is the hash of its number (32 bits, network order); a backend's rank in it is the hash of that seed's 8
 * bytes and the backend's address. Hashes are SipHash-2-4 keyed with the table's seed, and compare as byte strings.
 *
 * Source: github/glb-director, `src/glb-director-cli`; equal rows are the test.
 */
export function buildGlbTable({ hashKey, seed, backends, binds }: GlbTableSource): GlbTable {
  const candidates = [...backends.keys()].filter((index) => backends[index].state !== 'inactive');
  if (candidates.length < 2) throw new RangeError('a GLB table needs two backends that are not inactive');
  const hash = new SipHash24(seed);
  const message = new Int32Array(2 + ADDRESS_WORDS);
  const messageData = new DataView(message.buffer);
  const addresses = addressWords(candidates.map((index) => backends[index]));
  const lengths = Int32Array.from(candidates, (index) => 8 + backends[index].address.bytes.length);
  const rows = new Uint32Array(2 * GLB_ROWS);
  for (let row = 0; row < GLB_ROWS; row++) {
    messageData.setUint32(0, row);
    hash.hash(message, 4);
    hash.writeDigest(messageData, 0);

    // The two lowest digests so far, as two numbers each; of equal ones the backend listed first ranks first.
    let first = -1;
    let second = -1;
    let firstHigh = Number.POSITIVE_INFINITY;
    let firstLow = 0;
    let secondHigh = Number.POSITIVE_INFINITY;
    let secondLow = 0;
    for (let candidate = 0; candidate < candidates.length; candidate++) {
      for (let word = 0; word < ADDRESS_WORDS; word++) {
        message[2 + word] = addresses[ADDRESS_WORDS * candidate + word];
      }
      hash.hash(message, lengths[candidate]);
      const high = bigEndian(hash.low);
      const low = bigEndian(hash.high);
      if (high < firstHigh || (high === firstHigh && low < firstLow)) {
        second = first;
        secondHigh = firstHigh;
        secondLow = firstLow;
        first = candidate;
        firstHigh = high;
        firstLow = low;
      } else if (high < secondHigh || (high === secondHigh && low < secondLow)) {
        second = candidate;
        secondHigh = high;
        secondLow = low;
      }
    }
    const swap = isBad(backends[candidates[first]]) && backends[candidates[second]].state === 'active';
    rows[2 * row] = candidates[swap ? second : first];
    rows[2 * row + 1] = candidates[swap ? first : second];
  }
  return { hashKey, backends, binds, rows };
}

const ADDRESS_WORDS = 4;

/** The addresses as the hash wants them, four words each; an IPv4 address fills the first. */
function addressWords(backends: readonly GlbBackend[]): Int32Array {
  const words = new Int32Array(ADDRESS_WORDS * backends.length);
  const bytes = new Uint8Array(words.buffer);
  for (const [index, { address }] of backends.entries()) bytes.set(address.bytes, 4 * ADDRESS_WORDS * index);
  return words;
}

/** Not to be primary where the secondary is active, be that one healthy or not. */
function isBad({ state, healthy }: GlbBackend): boolean {
  return state === 'draining' || !healthy;
}

/** The four bytes of a little-endian word, read the other way round. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
