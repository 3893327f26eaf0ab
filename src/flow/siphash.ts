/**
 * SipHash-2-4 with a 128-bit key and a 64-bit digest: what GitHub's director hashes flows and builds tables with.
 *
 * Each 64-bit word of the state is two int32 here, as JavaScript has no fast integer that is wider.
 *
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012); the reference implementation's
 * vectors are the test.
 */

export const SIPHASH_KEY_LENGTH = 16;
export const SIPHASH_DIGEST_LENGTH = 8;

/** One key, hashing message after message. The digest of the last one lies in `low` and `high`. */
export class SipHash24 {
  /** Digest bytes 0..3 as a little-endian int32. */
  low = 0;
  /** Digest bytes 4..7, likewise. */
  high = 0;
  private readonly key0Low: number;
  private readonly key0High: number;
  private readonly key1Low: number;
  private readonly key1High: number;

  /** @param key {@link SIPHASH_KEY_LENGTH} bytes; copied */
  constructor(key: Uint8Array) {
    const data = new DataView(key.buffer, key.byteOffset, key.byteLength);
    this.key0Low = data.getInt32(0, true);
    this.key0High = data.getInt32(4, true);
    this.key1Low = data.getInt32(8, true);
    this.key1High = data.getInt32(12, true);
  }

  /**
   * @param words the message as little-endian words; bytes behind `length` in the last word are ignored
   * @param length message length in bytes, at most 4 x words.length
   */
  hash(words: Int32Array, length: number): void {
    // The state, v low and h high halves: the key over "somepseudorandomlygeneratedbytes".
    let v0 = this.key0Low ^ 0x70736575;
    let h0 = this.key0High ^ 0x736f6d65;
    let v1 = this.key1Low ^ 0x6e646f6d;
    let h1 = this.key1High ^ 0x646f7261;
    let v2 = this.key0Low ^ 0x6e657261;
    let h2 = this.key0High ^ 0x6c796765;
    let v3 = this.key1Low ^ 0x79746573;
    let h3 = this.key1High ^ 0x74656462;

    const wholeWords = length >>> 2;
    const tailBits = (length & 3) << 3;
    const blocks = length >>> 3;
    // The last block holds what is left and the length; one more turn finishes.
    for (let block = 0; block <= blocks + 1; block++) {
      const isMessage = block <= blocks;
      let low = 0;
      let high = 0;
      if (block < blocks) {
        low = words[2 * block];
        high = words[2 * block + 1];
      } else if (isMessage) {
        const tail = tailBits === 0 ? 0 : words[wholeWords] & ((1 << tailBits) - 1);
        const hasLowWord = (wholeWords & 1) === 1;
        low = hasLowWord ? words[wholeWords - 1] : tail;
        high = (hasLowWord ? tail : 0) | (length << 24);
      } else {
        v2 ^= 0xff;
      }
      v3 ^= low;
      h3 ^= high;
      // The low halves of an addition carry where both had a one, or one had and the sum lost it: told without a branch
      // and without leaving int32, which is a fifth faster than comparing. A rotation by 32 exchanges the halves.
      for (let round = isMessage ? 2 : 4; round > 0; round--) {
        let sum = (v0 + v1) | 0;
        h0 = (h0 + h1 + (((v0 & v1) | ((v0 | v1) & ~sum)) >>> 31)) | 0;
        v0 = sum;
        sum = (v2 + v3) | 0;
        h2 = (h2 + h3 + (((v2 & v3) | ((v2 | v3) & ~sum)) >>> 31)) | 0;
        v2 = sum;
        let turned = (v1 << 13) | (h1 >>> 19);
        h1 = ((h1 << 13) | (v1 >>> 19)) ^ h0;
        v1 = turned ^ v0;
        turned = (v3 << 16) | (h3 >>> 16);
        h3 = ((h3 << 16) | (v3 >>> 16)) ^ h2;
        v3 = turned ^ v2;
        turned = v0;
        v0 = h0;
        h0 = turned;

        sum = (v0 + v3) | 0;
        h0 = (h0 + h3 + (((v0 & v3) | ((v0 | v3) & ~sum)) >>> 31)) | 0;
        v0 = sum;
        sum = (v2 + v1) | 0;
        h2 = (h2 + h1 + (((v2 & v1) | ((v2 | v1) & ~sum)) >>> 31)) | 0;
        v2 = sum;
        turned = (v3 << 21) | (h3 >>> 11);
        h3 = ((h3 << 21) | (v3 >>> 11)) ^ h0;
        v3 = turned ^ v0;
        turned = (v1 << 17) | (h1 >>> 15);
        h1 = ((h1 << 17) | (v1 >>> 15)) ^ h2;
        v1 = turned ^ v2;
        turned = v2;
        v2 = h2;
        h2 = turned;
      }
      v0 ^= low;
      h0 ^= high;
    }
    this.low = v0 ^ v1 ^ v2 ^ v3;
    this.high = h0 ^ h1 ^ h2 ^ h3;
  }

  /** Writes the digest's {@link SIPHASH_DIGEST_LENGTH} bytes. */
  writeDigest(data: DataView, offset: number): void {
    data.setInt32(offset, this.low, true);
    data.setInt32(offset + 4, this.high, true);
  }
}
