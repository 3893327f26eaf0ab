import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PlainArena, VectorArena } from '../../src/path/arena.js';

const SIZE = 5000;

describe('the arena with vector instructions', () => {
  const plain = new PlainArena(SIZE);
  const vector = new VectorArena(SIZE);

  /** Where bytes come from and go to: the two do not overlap. */
  const piece = fc.record({
    at: fc.nat(200),
    length: fc.oneof(fc.nat(80), fc.nat(2000)),
    gap: fc.nat(70),
    fill: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constant(Uint8Array.of(0xff))),
  });

  it('sums and copies as the plain one does, wherever the bytes lie and however many they are', () => {
    fc.assert(
      fc.property(piece, ({ at, length, gap, fill }) => {
        const to = at + length + gap;
        for (const arena of [plain, vector]) {
          arena.bytes.fill(0xa5);
          for (let i = 0; i < length; i++) arena.bytes[at + i] = fill[i % fill.length];
        }
        const sum = plain.sum(at, length);
        expect(vector.sum(at, length)).toBe(sum);
        expect(plain.copy(to, at, length)).toBe(sum);
        expect(vector.copy(to, at, length)).toBe(sum);
        expect(vector.bytes.equals(plain.bytes)).toBe(true);
      }),
    );
  });

  it('sums the longest packet of the largest words', () => {
    const most = new VectorArena(0x10000);
    most.bytes.fill(0xff);
    expect(most.sum(0, 0xffff)).toBe(0xff00);
    expect(most.sum(1, 0xfffe)).toBe(0xffff);
  });

  it('refuses what lies outside of it', () => {
    expect(() => vector.sum(0x10000 - 4, 8)).toThrow(WebAssembly.RuntimeError);
    expect(() => vector.copy(0, 0xfffffff0, 8)).toThrow(WebAssembly.RuntimeError);
  });
});
