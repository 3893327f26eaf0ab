import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowKey } from '../../src/flow/flow-key.js';
import { SIPHASH_DIGEST_LENGTH, SIPHASH_KEY_LENGTH, SipHash24 } from '../../src/flow/siphash.js';

const vectors: { digests: string[] } = JSON.parse(
  readFileSync(new URL('../data/siphash-2-4-64.json', import.meta.url), 'utf8'),
);

/** The textbook form, on BigInts: slow, obvious, and sharing no line with the fast one. */
function slowSipHash(message: Uint8Array, key: Uint8Array): string {
  const mask = 0xffff_ffff_ffff_ffffn;
  const word = (bytes: Uint8Array, at: number) =>
    bytes.slice(at, at + 8).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (64n - by))) & mask;
  const [k0, k1] = [word(key, 0), word(key, 8)];
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v[0] = (v[0] + v[1]) & mask;
      v[1] = rotate(v[1], 13n) ^ v[0];
      v[0] = rotate(v[0], 32n);
      v[2] = (v[2] + v[3]) & mask;
      v[3] = rotate(v[3], 16n) ^ v[2];
      v[0] = (v[0] + v[3]) & mask;
      v[3] = rotate(v[3], 21n) ^ v[0];
      v[2] = (v[2] + v[1]) & mask;
      v[1] = rotate(v[1], 17n) ^ v[2];
      v[2] = rotate(v[2], 32n);
    }
  };
  const padded = new Uint8Array(Math.floor(message.length / 8) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const m = word(padded, at);
    v[3] ^= m;
    rounds(2);
    v[0] ^= m;
  }
  v[2] ^= 0xffn;
  rounds(4);
  const digest = Buffer.alloc(8);
  digest.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3]);
  return digest.toString('hex');
}

function fastSipHash(message: Uint8Array, key: Uint8Array): string {
  const flowKey = new FlowKey();
  flowKey.bytes.fill(0xa5);
  flowKey.bytes.set(message);
  const hash = new SipHash24(key);
  // A message before it leaves nothing behind.
  hash.hash(flowKey.words, 7);
  hash.hash(flowKey.words, message.length);
  const digest = Buffer.alloc(SIPHASH_DIGEST_LENGTH);
  hash.writeDigest(new DataView(digest.buffer, digest.byteOffset, digest.length), 0);
  expect([hash.low, hash.high]).toEqual([digest.readInt32LE(0), digest.readInt32LE(4)]);
  return digest.toString('hex');
}

describe('SipHash-2-4', () => {
  const key = Uint8Array.from({ length: SIPHASH_KEY_LENGTH }, (_, i) => i);

  it('yields the 64 vectors of the reference implementation', () => {
    expect(vectors.digests).toHaveLength(64);
    vectors.digests.forEach((digest, length) => {
      const message = Uint8Array.from({ length }, (_, i) => i);
      expect(fastSipHash(message, key), `length ${length}`).toBe(digest);
      expect(slowSipHash(message, key), `slow twin, length ${length}`).toBe(digest);
    });
  });

  it('equals the slow twin for any message and key', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 63 }),
        fc.uint8Array({ minLength: SIPHASH_KEY_LENGTH, maxLength: SIPHASH_KEY_LENGTH }),
        (message, anyKey) => {
          expect(fastSipHash(message, anyKey)).toBe(slowSipHash(message, anyKey));
        },
      ),
    );
  });

  it('takes a key from anywhere in a buffer', () => {
    const buffer = Uint8Array.from({ length: 21 }, (_, i) => i - 5);
    expect(fastSipHash(Uint8Array.of(1, 2, 3), buffer.subarray(5))).toBe(
      slowSipHash(Uint8Array.of(1, 2, 3), key),
    );
  });
});
