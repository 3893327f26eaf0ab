import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TableError } from '../../../src/table/errors.js';
import { decodeGlbBinary, encodeGlbBinary, GLB_TABLE_SIZE } from '../../../src/table/glb/binary.js';
import { buildGlbTable } from '../../../src/table/glb/rendezvous.js';
import { coded } from '../support.js';
import { backend, HASH_KEY, source } from './support.js';

const TABLE = buildGlbTable(
  source(
    backend('10.0.1.1'),
    backend('10.0.2.1', 'draining'),
    backend('10.0.3.1', 'filling', false),
    backend('2001:db8::1'),
  ),
);
const HEADER = 24;
const BYTES = encodeGlbBinary([TABLE]);

/** The file with some of its bytes replaced; offsets behind the header are given from the table's start. */
function patched(offset: number, ...values: number[]): Uint8Array {
  const copy = Uint8Array.from(BYTES);
  copy.set(values, offset);
  return copy;
}

describe("GLB's binary table", () => {
  it('has the layout that the director maps into memory', () => {
    const bytes = Buffer.from(BYTES);
    expect(bytes.length).toBe(24 + 537_624);
    expect(bytes.subarray(0, 24).toString('hex')).toBe(
      `474c4244020000000100000000000100${'00010000'.repeat(2)}`,
    );
    expect(bytes.readUInt32LE(24)).toBe(4);
    // family 1, address in network order, twelve bytes of nothing, state 1, health 1
    expect(bytes.subarray(28, 52).toString('hex')).toBe(`01000000${'0a000101'}${'00'.repeat(12)}01000100`);
    expect(bytes.subarray(52, 76).toString('hex')).toBe(`01000000${'0a000201'}${'00'.repeat(12)}02000100`);
    expect(bytes.subarray(76, 100).toString('hex')).toBe(`01000000${'0a000301'}${'00'.repeat(12)}00000000`);
    expect(bytes.subarray(100, 124).toString('hex')).toBe(
      `02000000${'20010db8'}${'00'.repeat(11)}0101000100`,
    );
    expect(bytes.subarray(124, 24 + 6148).every((byte) => byte === 0)).toBe(true);
    expect(bytes.readUInt32LE(24 + 6148)).toBe(1);
    // prefix length 32, ports 80 to 80, TCP
    expect(bytes.subarray(24 + 6152, 24 + 6180).toString('hex')).toBe(
      `01000000${'c0000201'}${'00'.repeat(12)}2000500050000600`,
    );
    expect(bytes.subarray(24 + 13_320, 24 + 13_336).toString('hex')).toBe(HASH_KEY);
    expect(bytes.readUInt32LE(24 + 13_336 + 8 * 1000)).toBe(TABLE.rows[2000]);
    expect(bytes.readUInt32LE(24 + 13_336 + 8 * 1000 + 4)).toBe(TABLE.rows[2001]);
  });

  it('is read back as it was written, any number of tables', () => {
    const other = buildGlbTable(source(backend('10.1.1.1'), backend('10.1.2.1', 'active', false)));
    for (const tables of [[], [TABLE], [TABLE, other, TABLE]]) {
      const bytes = encodeGlbBinary(tables);
      const decoded = decodeGlbBinary(bytes);
      expect(decoded.map(({ backends, binds }) => ({ backends, binds }))).toEqual(
        tables.map(({ backends, binds }) => ({ backends, binds })),
      );
      expect(
        decoded.every(
          ({ rows }, index) =>
            Buffer.compare(Buffer.from(rows.buffer), Buffer.from(tables[index].rows.buffer)) === 0,
        ),
      ).toBe(true);
      expect(Buffer.compare(encodeGlbBinary(decoded), bytes)).toBe(0);
    }
  });

  it('does not tell inactive from draining', () => {
    const bytes = encodeGlbBinary([
      buildGlbTable(source(backend('10.0.1.1'), backend('10.0.2.1'), backend('10.0.3.1', 'inactive'))),
    ]);
    expect(decodeGlbBinary(bytes)[0].backends.map(({ state }) => state)).toEqual([
      'active',
      'active',
      'draining',
    ]);
  });

  const row = 13_336 + 8 * 777;
  it.each([
    ['bad-magic', Uint8Array.of(), /does not begin with "GLBD"/],
    ['bad-magic', patched(0, 0x48), /does not begin with "GLBD"/],
    ['truncated', BYTES.subarray(0, 23), /ends after 23 bytes, and 24 are needed/],
    ['older-format', patched(4, 1), /format version 1, and this release reads 2/],
    ['newer-format', patched(4, 3), /format version 3/],
    ['bad-glb-table', patched(12, 1), /65537 rows per table, and GLB has 65536/],
    ['bad-glb-table', patched(17, 2), /512 backends per table, and GLB has 256/],
    ['bad-glb-table', patched(20, 1), /257 binds per table/],
    ['truncated', patched(8, 2), new RegExp(`and ${HEADER + 2 * GLB_TABLE_SIZE} are needed`)],
    ['truncated', BYTES.subarray(0, BYTES.length - 1), /copy or make it again/],
    ['trailing-bytes', patched(8, 0), /follow the end of the last of 0 tables/],
    ['bad-glb-table', patched(HEADER, 1, 1), /table 0: backends: 257, expected at most 256/],
    ['bad-glb-table', patched(HEADER + 4, 3), /table 0: backend 0: address family 3, expected 1/],
    ['bad-glb-table', patched(HEADER + 24, 3), /table 0: backend 0: state 3, expected 0 to 2/],
    ['bad-glb-table', patched(HEADER + 26, 2), /table 0: backend 0: health 2, expected 0 or 1/],
    ['bad-glb-table', patched(HEADER + 6148, 1, 1), /table 0: binds: 257/],
    ['bad-glb-table', patched(HEADER + 6172, 33), /table 0: bind 0: prefix length 33, expected at most 32/],
    ['bad-glb-table', patched(HEADER + 6178, 5), /table 0: bind 0: protocol 5, expected 1, 6 or 17/],
    ['bad-glb-table', patched(HEADER + row, 4), /table 0: row 777 names backend 4, and there are 4/],
    ['bad-glb-table', patched(HEADER, 0), /table 0: row \d+ names backend \d, and there are 0/],
  ])('is refused as %s: %#', (code, bytes, message) => {
    expect(() => decodeGlbBinary(bytes)).toThrow(coded(code));
    expect(() => decodeGlbBinary(bytes)).toThrow(message);
  });

  it('is decoded or refused, whatever was done to it', () => {
    // Where damage can be noticed: the header, counts, backends in use, binds, some rows.
    const place = fc.oneof(fc.nat(140), fc.integer({ min: 6170, max: 6220 }), fc.nat(BYTES.length - 1));
    const damage = fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 });
    let refused = 0;
    fc.assert(
      fc.property(damage, fc.oneof(fc.constant(BYTES.length), fc.nat(BYTES.length)), (changes, length) => {
        const copy = Uint8Array.from(BYTES);
        for (const [offset, value] of changes) copy[offset] = value;
        try {
          for (const { rows, backends } of decodeGlbBinary(copy.subarray(0, length))) {
            expect(rows.every((index) => index < backends.length)).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(TableError);
          refused++;
        }
      }),
      { numRuns: 150 },
    );
    expect(refused).toBeGreaterThan(20);
  });
});
