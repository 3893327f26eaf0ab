import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowKey } from '../../src/flow/flow-key.js';
import { halfSipHash24 } from '../../src/flow/halfsiphash.js';

const vectors: { digests: string[] } = JSON.parse(
  readFileSync(new URL('../data/halfsiphash-2-4-32.json', import.meta.url), 'utf8'),
);

/** The textbook form, on BigInts: slow, obvious, and sharing no line with the fast one. */
function slowHalfSipHash(message: Uint8Array, key: Uint8Array): number {
  const mask = 0xffffffffn;
  const word = (bytes: Uint8Array, at: number) =>
    bytes.slice(at, at + 4).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (32n - by))) & mask;
  const [k0, k1] = [word(key, 0), word(key, 4)];
  const v = [k0, k1, 0x6c796765n ^ k0, 0x74656462n ^ k1];
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v[0] = (v[0] + v[1]) & mask;
      v[1] = rotate(v[1], 5n) ^ v[0];
      v[0] = rotate(v[0], 16n);
      v[2] = (v[2] + v[3]) & mask;
      v[3] = rotate(v[3], 8n) ^ v[2];
      v[0] = (v[0] + v[3]) & mask;
      v[3] = rotate(v[3], 7n) ^ v[0];
      v[2] = (v[2] + v[1]) & mask;
      v[1] = rotate(v[1], 13n) ^ v[2];
      v[2] = rotate(v[2], 16n);
    }
  };
  const padded = new Uint8Array(Math.floor(message.length / 4) * 4 + 4);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 4) {
    const m = word(padded, at);
    v[3] ^= m;
    rounds(2);
    v[0] ^= m;
  }
  v[2] ^= 0xffn;
  rounds(4);
  return Number(v[1] ^ v[3]);
}

function fastHalfSipHash(message: Uint8Array, key: Uint8Array): number {
  const flowKey = new FlowKey();
  flowKey.bytes.fill(0xa5);
  flowKey.bytes.set(message);
  const keyData = new DataView(key.buffer, key.byteOffset);
  return (
    halfSipHash24(flowKey.words, message.length, keyData.getInt32(0, true), keyData.getInt32(4, true)) >>> 0
  );
}

describe('HalfSipHash-2-4', () => {
  const key = Uint8Array.from({ length: 8 }, (_, i) => i);

  it('yields the 64 vectors of the reference implementation', () => {
    expect(vectors.digests).toHaveLength(64);
    vectors.digests.forEach((digest, length) => {
      const message = Uint8Array.from({ length }, (_, i) => i);
      const expected = Buffer.from(digest, 'hex').readUInt32LE(0);
      expect(fastHalfSipHash(message, key), `length ${length}`).toBe(expected);
      expect(slowHalfSipHash(message, key), `slow twin, length ${length}`).toBe(expected);
    });
  });

  it('equals the slow twin for any message and key', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 63 }),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (message, anyKey) => {
          expect(fastHalfSipHash(message, anyKey)).toBe(slowHalfSipHash(message, anyKey));
        },
      ),
    );
  });
});
