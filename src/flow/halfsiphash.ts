/**
 * HalfSipHash-2-4 with a 64-bit key and 32-bit output: SipHash's structure on 32-bit words, which is what
 * JavaScript's integers are. Keyed, so that who chooses ports cannot choose a bucket.
 *
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), and the reference
 * implementation's HalfSipHash; its vectors are the test.
 */

/**
 * @param words the message as little-endian words; bytes behind `length` in the last word are ignored
 * @param length message length in bytes, at most 4 x words.length
 * @param key0 first four key bytes as a little-endian word; @param key1 the other four
 * @returns the digest's four bytes as a little-endian int32: half of all numbers from 0 to 2^32-1 would be boxed
 */
export function halfSipHash24(words: Int32Array, length: number, key0: number, key1: number): number {
  let v0 = key0 | 0;
  let v1 = key1 | 0;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;

  // Rounds are written out: as calls they cost twice as much, and the optimiser does not unroll.
  const whole = length >>> 2;
  for (let i = 0; i <= whole; i++) {
    let m: number;
    if (i < whole) {
      m = words[i];
    } else {
      const tail = length & 3;
      m = (length << 24) | (tail === 0 ? 0 : words[i] & ((1 << (tail << 3)) - 1));
    }
    v3 ^= m;

    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);

    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);

    v0 ^= m;
  }

  v2 ^= 0xff;
  for (let i = 0; i < 4; i++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}
