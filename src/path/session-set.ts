import { randomBytes } from 'node:crypto';
import { type FlowKey, MAX_KEY_LENGTH } from '../flow/flow-key.js';
import { halfSipHash24 } from '../flow/halfsiphash.js';

/**
 * The sessions that the service of this server has, by flow key: an open-addressing table in shared memory, built by
 * the main thread whenever the service publishes another set, and only read from then on.
 *
 * Hashed with a secret of its own: who chooses session ids cannot make a search long.
 */

/** Of clientids 16 MB, of the longest keys 142 MB. */
export const MAX_SESSIONS = 1 << 20;

/** A set as a plain object that `postMessage` can carry; the words stay where they are. */
export interface SharedSessions {
  /** Sessions in the set. */
  readonly size: number;
  readonly mask: number;
  /** Words of a place: the key's length in bytes, 0 where the place is empty; then the key, zeros behind it. */
  readonly stride: number;
  readonly words: Int32Array;
  readonly hashKey0: number;
  readonly hashKey1: number;
}

/**
 * @param keys 1 to MAX_KEY_LENGTH bytes each; one that is there twice counts once
 * @param memoryOf gives at least so many bytes, with anything in them
 * @throws RangeError
 */
export function buildSessions(
  keys: readonly Uint8Array[],
  memoryOf: (bytes: number) => SharedArrayBuffer = (bytes) => new SharedArrayBuffer(bytes),
): SharedSessions {
  if (keys.length > MAX_SESSIONS) {
    throw new RangeError(`${keys.length} sessions: a set has at most ${MAX_SESSIONS}`);
  }
  let places = 2;
  while (places < 2 * keys.length) places *= 2;
  const longest = keys.reduce((most, { length }) => Math.max(most, length), 0);
  const stride = 1 + ((longest + 3) >>> 2);
  const words = new Int32Array(memoryOf(4 * places * stride), 0, places * stride).fill(0);
  const secret = randomBytes(8);
  const mask = places - 1;
  const [hashKey0, hashKey1] = [secret.readInt32LE(0), secret.readInt32LE(4)];
  const key = new Int32Array(MAX_KEY_LENGTH / 4);
  const bytes = new Uint8Array(key.buffer);
  let size = 0;
  for (const each of keys) {
    if (each.length < 1 || each.length > MAX_KEY_LENGTH) {
      throw new RangeError(`a session key of ${each.length} bytes: 1 to ${MAX_KEY_LENGTH} are possible`);
    }
    bytes.fill(0);
    bytes.set(each);
    let place = halfSipHash24(key, each.length, hashKey0, hashKey1) & mask;
    let found = false;
    while (!found && words[place * stride] !== 0) {
      found = isAt(words, place * stride, key, each.length);
      if (!found) place = (place + 1) & mask;
    }
    if (found) continue;
    words[place * stride] = each.length;
    for (let i = 0; i < stride - 1; i++) words[place * stride + 1 + i] = key[i];
    size++;
  }
  return { size, mask, stride, words, hashKey0, hashKey1 };
}

export class SessionSet {
  readonly size: number;
  private readonly mask: number;
  private readonly stride: number;
  private readonly words: Int32Array;
  private readonly hashKey0: number;
  private readonly hashKey1: number;

  constructor(shared: SharedSessions) {
    this.size = shared.size;
    this.mask = shared.mask;
    this.stride = shared.stride;
    this.words = shared.words;
    this.hashKey0 = shared.hashKey0;
    this.hashKey1 = shared.hashKey1;
  }

  /** @param length of the key in bytes, at least 1 */
  has(key: FlowKey, length: number): boolean {
    const { mask, stride, words } = this;
    let place = halfSipHash24(key.words, length, this.hashKey0, this.hashKey1) & mask;
    for (let at = place * stride; words[at] !== 0; at = place * stride) {
      if (isAt(words, at, key.words, length)) return true;
      place = (place + 1) & mask;
    }
    return false;
  }
}

/** Bytes behind the key in its last word may hold anything. */
function isAt(words: Int32Array, at: number, key: Int32Array, length: number): boolean {
  if (words[at] !== length) return false;
  const whole = length >>> 2;
  for (let i = 0; i < whole; i++) if (words[at + 1 + i] !== key[i]) return false;
  const rest = length & 3;
  return rest === 0 || words[at + 1 + whole] === (key[whole] & ((1 << (8 * rest)) - 1));
}
