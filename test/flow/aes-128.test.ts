import { createCipheriv, createDecipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Aes128 } from '../../src/flow/aes-128.js';

function load(aes: Aes128, bytes: Uint8Array): void {
  const data = new DataView(bytes.buffer, bytes.byteOffset, 16);
  for (let i = 0; i < 4; i++) aes.block[i] = data.getInt32(4 * i);
}

function stored(aes: Aes128): string {
  return Array.from(aes.block, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

describe('AES-128', () => {
  // FIPS 197 appendix B, and appendix C.1.
  it.each([
    [
      '2b7e151628aed2a6abf7158809cf4f3c',
      '3243f6a8885a308d313198a2e0370734',
      '3925841d02dc09fbdc118597196a0b32',
    ],
    [
      '000102030405060708090a0b0c0d0e0f',
      '00112233445566778899aabbccddeeff',
      '69c4e0d86a7b0430d8cdb78070b4c55a',
    ],
  ])('key %s', (key, plaintext, ciphertext) => {
    const aes = new Aes128(Buffer.from(key, 'hex'));
    load(aes, Buffer.from(plaintext, 'hex'));
    aes.encrypt();
    expect(stored(aes)).toBe(ciphertext);
    aes.decrypt();
    expect(stored(aes)).toBe(plaintext);
  });

  it('does what node:crypto does', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, bytes, (key, text) => {
        const aes = new Aes128(key);
        load(aes, text);
        aes.encrypt();
        expect(stored(aes)).toBe(
          createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(text).toString('hex'),
        );
        load(aes, text);
        aes.decrypt();
        expect(stored(aes)).toBe(
          createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(text).toString('hex'),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('refuses keys of other lengths', () => {
    expect(() => new Aes128(new Uint8Array(32))).toThrow('32 bytes');
  });
});
