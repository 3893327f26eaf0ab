import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TableError } from '../../src/table/errors.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { decodeSnapshot, encodeSnapshot } from '../../src/table/snapshot.js';
import { A, B, C, coded, KEY, tableOf } from './support.js';

const table = tableOf([
  [A, 0],
  [B, A],
  [C, B],
  [A, C],
]);

/** The bytes of `table`, written down from the description of the format. */
const GOLDEN = withChecksum(
  Buffer.from(
    [
      '8954484654 0d0a1a 0002 0003 00000004 0000000000000003 00112233445566ff',
      `776562 ${'00'.repeat(61)}`,
      '0a000101 00000000',
      '0a000201 0a000101',
      '0a000301 0a000201',
      '0a000101 0a000301',
      '00'.repeat(32),
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  ),
);

/** With its last 32 bytes replaced by the right checksum. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const end = copy.length - 32;
  copy.set(createHash('sha256').update(copy.subarray(0, end)).digest(), end);
  return copy;
}

function changed(offset: number, ...values: number[]): Uint8Array {
  const copy = Uint8Array.from(GOLDEN);
  copy.set(values, offset);
  return withChecksum(copy);
}

describe('snapshots', () => {
  it('have the layout that is described', () => {
    expect(Buffer.from(encodeSnapshot(table)).toString('hex')).toBe(Buffer.from(GOLDEN).toString('hex'));
    expect(decodeSnapshot(GOLDEN)).toEqual(table);
  });

  it('are read from the middle of a buffer', () => {
    const padded = Buffer.alloc(GOLDEN.length + 10, 0xa5);
    padded.set(GOLDEN, 5);
    expect(decodeSnapshot(padded.subarray(5, 5 + GOLDEN.length))).toEqual(table);
  });

  it('give back any table', () => {
    const dips = fc.integer({ min: 1, max: 0xffffffff });
    const tables = fc
      .record({
        trafficset: fc.stringMatching(/^[a-z0-9-]{1,64}$/),
        version: fc.maxSafeNat(),
        hashKey: fc.uint8Array({ minLength: 8, maxLength: 8 }),
        rows: fc.nat(6).chain((log) =>
          fc.array(fc.tuple(dips, fc.option(dips, { nil: 0 })), {
            minLength: 1 << log,
            maxLength: 1 << log,
          }),
        ),
      })
      .filter(({ rows }) => rows.every(([first, second]) => first !== second))
      .map(({ rows, ...rest }) => new ForwardingTable({ ...rest, slots: Uint32Array.from(rows.flat()) }));
    fc.assert(
      fc.property(tables, (any) => {
        expect(decodeSnapshot(encodeSnapshot(any))).toEqual(any);
      }),
    );
  });

  it('are refused with any one byte changed to anything', () => {
    for (let offset = 0; offset < GOLDEN.length; offset++) {
      for (let flip = 1; flip < 256; flip++) {
        const damaged = Uint8Array.from(GOLDEN);
        damaged[offset] ^= flip;
        expectTableError(damaged, `byte ${offset} ^ ${flip}`);
      }
    }
  });

  it('are refused when cut short anywhere, or continued', () => {
    for (let length = 0; length < GOLDEN.length; length++) {
      expectTableError(GOLDEN.subarray(0, length), `${length} bytes`);
    }
    for (const more of [1, 7, 8, 32, 1000]) {
      const longer = new Uint8Array(GOLDEN.length + more);
      longer.set(GOLDEN);
      expect(() => decodeSnapshot(longer)).toThrow(coded('trailing-bytes'));
    }
  });

  it('have one encoding: whatever is accepted is written back byte for byte', () => {
    const damage = fc.array(fc.tuple(fc.nat(GOLDEN.length - 33), fc.nat(255)), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = Uint8Array.from(GOLDEN);
        for (const [offset, value] of changes) bytes[offset] = value;
        const signed = withChecksum(bytes);
        try {
          expect(encodeSnapshot(decodeSnapshot(signed))).toEqual(signed);
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('survive random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => expectTableError(bytes, 'random')));
  });

  it('say by code and in words what is wrong', () => {
    const cases: [string, Uint8Array, RegExp][] = [
      ['empty', new Uint8Array(0), /nothing in it/],
      ['bad-magic', Buffer.from('#!/bin/sh\n'), /no forwarding table/],
      ['bad-magic', changed(0, 0x88), /no forwarding table/],
      ['truncated', GOLDEN.subarray(0, 5), /ends after 5 bytes/],
      ['truncated', GOLDEN.subarray(0, 100), /ends after 100 bytes, and at least 128/],
      ['truncated', GOLDEN.subarray(0, 159), /ends after 159 bytes, and at least 160/],
      ['older-format', changed(8, 0, 1), /format version 1.*reads 2.*make the table again/],
      ['newer-format', changed(8, 0, 3), /format version 3.*reads 2/],
      ['checksum', Uint8Array.from(GOLDEN, (byte, at) => (at === 99 ? byte ^ 1 : byte)), /checksum/],
      ['bad-bucket-count', changed(12, 0, 0, 0, 3), /3 buckets/],
      ['bad-bucket-count', changed(12, 0, 0, 0, 0), /0 buckets/],
      ['bad-bucket-count', changed(12, 0x80, 0, 0, 0), /2147483648 buckets/],
      ['truncated', changed(12, 0, 0, 0, 8), /at least 192/],
      ['trailing-bytes', changed(12, 0, 0, 0, 2), /16 bytes follow/],
      ['bad-version', changed(16, 0xff), /version/],
      ['bad-name', changed(32, 0x57), /"Web"/],
      ['bad-name', changed(36, 0x58), /filled up/],
      ['bad-name', changed(10, 0, 0), /name/],
      ['bad-name', changed(10, 0, 2), /filled up/],
      ['bad-name', changed(10, 1, 0), /name/],
      ['empty-first-hop', changed(104, 0, 0, 0, 0), /bucket 1 has no first hop/],
      ['same-slots', changed(100, 10, 0, 1, 1), /bucket 0 has 10\.0\.1\.1 in both slots/],
    ];
    for (const [code, bytes, words] of cases) {
      expect(() => decodeSnapshot(bytes), code).toThrow(coded(code));
      expect(() => decodeSnapshot(bytes), code).toThrow(words);
    }
  });

  it('are not written of tables that would be refused', () => {
    expect(() => encodeSnapshot(tableOf([[A, A]]))).toThrow(coded('same-slots'));
    expect(() => encodeSnapshot(tableOf([[0, A]]))).toThrow(coded('empty-first-hop'));
  });

  it('do not share memory with the bytes they were read from', () => {
    const bytes = Uint8Array.from(GOLDEN);
    const read = decodeSnapshot(bytes);
    bytes.fill(0);
    expect(read.hashKey).toEqual(KEY);
    expect(read.firstHop(0)).toBe(A);
  });
});

function expectTableError(bytes: Uint8Array, what: string): void {
  let thrown: unknown;
  try {
    decodeSnapshot(bytes);
  } catch (error) {
    thrown = error;
  }
  // Not `expect(...).toThrow`: forty thousand of those take seconds.
  if (!(thrown instanceof TableError)) throw new Error(`${what}: got ${String(thrown)}`);
}
