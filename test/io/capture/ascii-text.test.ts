import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AsciiText } from '../../../src/io/capture/ascii-text.js';
import { formatIpv4, formatIpv6 } from '../../../src/wire/address.js';

/** A piece, and the string that it stands for. */
type Piece = readonly [(text: AsciiText) => void, string];

const address = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Where the rules of RFC 5952 bite: many zeros.
  fc
    .array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
    .map((bytes) => Uint8Array.from(bytes)),
);
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.string({ maxLength: 300 }).map((s): Piece => [(text) => text.add(s), s.replace(/[^\0-\x7f]/g, '?')]),
  fc.maxSafeNat().map((n): Piece => [(text) => text.decimal(n), String(n)]),
  fc.nat(0xffffffff).map((n): Piece => [(text) => text.hex32(n), `0x${n.toString(16).padStart(8, '0')}`]),
  fc.nat(0xffffffff).map((n): Piece => [(text) => text.ipv4(n), formatIpv4(n)]),
  address.map((bytes): Piece => {
    const data = new DataView(bytes.buffer);
    return [(text) => text.endpoint(6, data, 0, 80), `[${formatIpv6(data, 0)}]:80`];
  }),
);

it('is the pieces, one after the other, however long it grows', () => {
  const text = new AsciiText();
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      text.clear();
      for (const [add] of pieces) add(text);
      expect(text.toString()).toBe(pieces.map(([, words]) => words).join(''));
    }),
  );
});
