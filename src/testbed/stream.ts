import { createCipheriv, createHash } from 'node:crypto';

/**
 * Bytes that both ends of a transfer can compute for themselves: the keystream of AES-128 in counter mode, its key
 * made from a seed. No two seeds share a prefix, so a transfer that continues on the wrong server or repeats a
 * block is noticed.
 */
export class PseudoRandomStream {
  private readonly cipher;

  constructor(seed: number) {
    const key = createHash('sha256').update(`twohop ${seed}`).digest().subarray(0, 16);
    this.cipher = createCipheriv('aes-128-ctr', key, ZERO_IV);
  }

  /** The next `length` bytes. */
  next(length: number): Buffer {
    return this.cipher.update(length === ZEROS.length ? ZEROS : Buffer.alloc(length));
  }
}

/** SHA-256, in hexadecimal, of the first `bytes` bytes of the stream with this seed. */
export function streamDigest(seed: number, bytes: number): string {
  const stream = new PseudoRandomStream(seed);
  const hash = createHash('sha256');
  for (let left = bytes; left > 0; left -= BLOCK) hash.update(stream.next(Math.min(left, BLOCK)));
  return hash.digest('hex');
}

/** A convenient piece to make at a time. */
export const BLOCK = 32 * 1024;

const ZEROS = Buffer.alloc(BLOCK);
const ZERO_IV = Buffer.alloc(16);
