/**
 * AES-128, one block at a time, in place and without allocating: node:crypto makes an object for every block. It
 * is the twin that the test holds this against.
 *
 * Rounds look 32-bit words up in tables, as section 5.2 of the Rijndael proposal describes. Such lookups take a time
 * that depends on key and data; whoever can measure single packets inside the load balancer knows more than the key of
 * its connection IDs would tell.
 *
 * Sources: FIPS 197 (names of the steps); J. Daemen, V. Rijmen, "AES Proposal: Rijndael" (1999).
 */

export const AES_BLOCK = 16;
export const AES_128_KEY = 16;
const ROUNDS = 10;

const SBOX = new Uint8Array(256);
const INVERSE_SBOX = new Uint8Array(256);
/** SubBytes, ShiftRows and MixColumns of one byte of a column; and the same backwards. Table n is table 0 turned by n bytes. */
const ENCRYPT = tables();
const DECRYPT = tables();
const [E0, E1, E2, E3] = ENCRYPT;
const [D0, D1, D2, D3] = DECRYPT;
fillTables();

export class Aes128 {
  /** The block: four big-endian words, to be set before and read after a call. */
  readonly block = new Int32Array(4);
  private readonly encryptionKeys = new Int32Array(4 * (ROUNDS + 1));
  /** For the equivalent inverse cipher (FIPS 197 section 5.3.5). */
  private readonly decryptionKeys = new Int32Array(4 * (ROUNDS + 1));

  /** @param key 16 bytes @throws RangeError for any other number */
  constructor(key: Uint8Array) {
    if (key.length !== AES_128_KEY) throw new RangeError(`a key of ${key.length} bytes: AES-128 takes 16`);
    this.expandKey(key);
  }

  encrypt(): void {
    const { block, encryptionKeys: keys } = this;
    let a = block[0] ^ keys[0];
    let b = block[1] ^ keys[1];
    let c = block[2] ^ keys[2];
    let d = block[3] ^ keys[3];
    let at = 4;
    for (let round = 1; round < ROUNDS; round++, at += 4) {
      const e = E0[a >>> 24] ^ E1[(b >>> 16) & 0xff] ^ E2[(c >>> 8) & 0xff] ^ E3[d & 0xff] ^ keys[at];
      const f = E0[b >>> 24] ^ E1[(c >>> 16) & 0xff] ^ E2[(d >>> 8) & 0xff] ^ E3[a & 0xff] ^ keys[at + 1];
      const g = E0[c >>> 24] ^ E1[(d >>> 16) & 0xff] ^ E2[(a >>> 8) & 0xff] ^ E3[b & 0xff] ^ keys[at + 2];
      const h = E0[d >>> 24] ^ E1[(a >>> 16) & 0xff] ^ E2[(b >>> 8) & 0xff] ^ E3[c & 0xff] ^ keys[at + 3];
      a = e;
      b = f;
      c = g;
      d = h;
    }
    block[0] = substituted(SBOX, a, b, c, d) ^ keys[at];
    block[1] = substituted(SBOX, b, c, d, a) ^ keys[at + 1];
    block[2] = substituted(SBOX, c, d, a, b) ^ keys[at + 2];
    block[3] = substituted(SBOX, d, a, b, c) ^ keys[at + 3];
  }

  decrypt(): void {
    const { block, decryptionKeys: keys } = this;
    let a = block[0] ^ keys[0];
    let b = block[1] ^ keys[1];
    let c = block[2] ^ keys[2];
    let d = block[3] ^ keys[3];
    let at = 4;
    for (let round = 1; round < ROUNDS; round++, at += 4) {
      const e = D0[a >>> 24] ^ D1[(d >>> 16) & 0xff] ^ D2[(c >>> 8) & 0xff] ^ D3[b & 0xff] ^ keys[at];
      const f = D0[b >>> 24] ^ D1[(a >>> 16) & 0xff] ^ D2[(d >>> 8) & 0xff] ^ D3[c & 0xff] ^ keys[at + 1];
      const g = D0[c >>> 24] ^ D1[(b >>> 16) & 0xff] ^ D2[(a >>> 8) & 0xff] ^ D3[d & 0xff] ^ keys[at + 2];
      const h = D0[d >>> 24] ^ D1[(c >>> 16) & 0xff] ^ D2[(b >>> 8) & 0xff] ^ D3[a & 0xff] ^ keys[at + 3];
      a = e;
      b = f;
      c = g;
      d = h;
    }
    block[0] = substituted(INVERSE_SBOX, a, d, c, b) ^ keys[at];
    block[1] = substituted(INVERSE_SBOX, b, a, d, c) ^ keys[at + 1];
    block[2] = substituted(INVERSE_SBOX, c, b, a, d) ^ keys[at + 2];
    block[3] = substituted(INVERSE_SBOX, d, c, b, a) ^ keys[at + 3];
  }

  /** KeyExpansion (FIPS 197 section 5.2). */
  private expandKey(key: Uint8Array): void {
    const { encryptionKeys: keys, decryptionKeys } = this;
    const bytes = new DataView(key.buffer, key.byteOffset, key.byteLength);
    for (let i = 0; i < 4; i++) keys[i] = bytes.getInt32(4 * i);
    let roundConstant = 1;
    for (let i = 4; i < keys.length; i++) {
      let word = keys[i - 1];
      if (i % 4 === 0) {
        word = (word << 8) | (word >>> 24);
        word = substituted(SBOX, word, word, word, word) ^ (roundConstant << 24);
        roundConstant = doubled(roundConstant);
      }
      keys[i] = keys[i - 4] ^ word;
    }
    for (let round = 0; round <= ROUNDS; round++) {
      for (let i = 0; i < 4; i++) {
        const word = keys[4 * (ROUNDS - round) + i];
        // InvMixColumns: the table's own InvSubBytes is taken back first.
        const mixed =
          D0[SBOX[word >>> 24]] ^
          D1[SBOX[(word >>> 16) & 0xff]] ^
          D2[SBOX[(word >>> 8) & 0xff]] ^
          D3[SBOX[word & 0xff]];
        decryptionKeys[4 * round + i] = round === 0 || round === ROUNDS ? word : mixed;
      }
    }
  }
}

/** The last round's column: one byte of each of four words, substituted. */
function substituted(box: Uint8Array, a: number, b: number, c: number, d: number): number {
  return (
    (box[a >>> 24] << 24) | (box[(b >>> 16) & 0xff] << 16) | (box[(c >>> 8) & 0xff] << 8) | box[d & 0xff]
  );
}

/** Times x in the field of 256 elements (FIPS 197 section 4.2). */
function doubled(value: number): number {
  return ((value << 1) ^ (value & 0x80 ? 0x11b : 0)) & 0xff;
}

function tables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  return [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)];
}

function fillTables(): void {
  // Powers of 3 run through all elements but 0; an element's inverse is the power that is missing to 255.
  const powers = new Uint8Array(256);
  const logarithms = new Uint8Array(256);
  for (let exponent = 0, value = 1; exponent < 255; exponent++) {
    powers[exponent] = value;
    logarithms[value] = exponent;
    value ^= doubled(value);
  }
  const times = (a: number, b: number): number =>
    a === 0 || b === 0 ? 0 : powers[(logarithms[a] + logarithms[b]) % 255];
  for (let value = 0; value < 256; value++) {
    const inverse = value === 0 ? 0 : powers[(255 - logarithms[value]) % 255];
    const spread = inverse * 0x101;
    SBOX[value] = 0x63 ^ inverse ^ (spread >>> 7) ^ (spread >>> 6) ^ (spread >>> 5) ^ (spread >>> 4);
    INVERSE_SBOX[SBOX[value]] = value;
  }
  for (let value = 0; value < 256; value++) {
    const s = SBOX[value];
    const i = INVERSE_SBOX[value];
    const column = (times(2, s) << 24) | (s << 16) | (s << 8) | times(3, s);
    const inverseColumn = (times(14, i) << 24) | (times(9, i) << 16) | (times(13, i) << 8) | times(11, i);
    for (let turn = 0; turn < 4; turn++) {
      ENCRYPT[turn][value] = turned(column, turn);
      DECRYPT[turn][value] = turned(inverseColumn, turn);
    }
  }
}

/** @param bytes 0 to 3, to the right */
function turned(word: number, bytes: number): number {
  return bytes === 0 ? word : (word >>> (8 * bytes)) | (word << (32 - 8 * bytes));
}
