import { describe, expect, it } from 'vitest';
import { ForwardingTable, newSlots } from '../../src/table/forwarding-table.js';
import { findBadRow } from '../../src/table/rows.js';

const A = 0x0a000101;
const B = 0x0a000201;
const KEY = Uint8Array.of(1, 2, 3, 4, 0xff, 6, 7, 0x88);

function tableOf(rows: readonly (readonly [number, number])[]): ForwardingTable {
  return new ForwardingTable({
    trafficset: 'web',
    version: 3,
    hashKey: KEY,
    slots: Uint32Array.from(rows.flat()),
  });
}

describe('ForwardingTable', () => {
  const table = tableOf([
    [A, 0],
    [B, A],
    [A, B],
    [A, 0],
  ]);

  it('gives rows and counts', () => {
    expect(table.bucketCount).toBe(4);
    expect(table.mask).toBe(3);
    expect([table.firstHop(1), table.secondHop(1)]).toEqual([B, A]);
    expect(table.servers()).toEqual([
      { dip: A, first: 3, second: 1 },
      { dip: B, first: 1, second: 1 },
    ]);
  });

  it('reads the key as two little-endian words', () => {
    expect(table.key0).toBe(0x04030201);
    expect(table.key1).toBe(0x880706ff | 0);
  });

  it('lies in shared memory and is taken up from there without copying', () => {
    const copy = ForwardingTable.fromShared(structuredClone(table.shared()));
    expect(copy).toEqual(table);
    expect(copy.slots.buffer).toBeInstanceOf(SharedArrayBuffer);
    copy.slots[1] = 7;
    expect(table.slots[1]).toBe(7);
    table.slots[1] = 0;
  });

  it('takes over shared rows and copies all others', () => {
    const shared = newSlots(2);
    const init = { trafficset: 'web', version: 1, hashKey: KEY };
    expect(new ForwardingTable({ ...init, slots: shared }).slots).toBe(shared);
    expect(new ForwardingTable({ ...init, slots: shared.subarray(2) }).slots.buffer).not.toBe(shared.buffer);
    const own = Uint32Array.of(A, 0);
    const copied = new ForwardingTable({ ...init, slots: own });
    own[0] = B;
    expect(copied.firstHop(0)).toBe(A);
  });

  it('does not change with the key it was given', () => {
    const hashKey = Uint8Array.from(KEY);
    const made = new ForwardingTable({ trafficset: 'web', version: 1, hashKey, slots: Uint32Array.of(A, 0) });
    hashKey.fill(0);
    expect(made.hashKey).toEqual(KEY);
  });

  it('refuses what has not the form of a table', () => {
    const init = { trafficset: 'web', version: 1, hashKey: KEY, slots: Uint32Array.of(A, 0) };
    const make = (change: object) => () => new ForwardingTable({ ...init, ...change });
    const code = (value: string) => expect.objectContaining({ code: value });
    for (const trafficset of ['', 'Web', 'a b', 'a'.repeat(65), 'é']) {
      expect(make({ trafficset }), trafficset).toThrow(code('bad-name'));
    }
    for (const version of [-1, 0.5, 2 ** 53, Number.NaN])
      expect(make({ version })).toThrow(code('bad-version'));
    for (const size of [0, 7, 9, 16])
      expect(make({ hashKey: new Uint8Array(size) })).toThrow(code('bad-hash-key'));
    for (const size of [0, 1, 3, 6, 12]) {
      expect(make({ slots: new Uint32Array(size) })).toThrow(code('bad-bucket-count'));
    }
    expect(() => newSlots(2 ** 25)).toThrow(code('bad-bucket-count'));
    expect(() => newSlots(2 ** 32)).toThrow(code('bad-bucket-count'));
  });
});

describe('findBadRow', () => {
  it('finds rows that a node could not use, from a bucket on', () => {
    const slots = Uint32Array.of(A, 0, 0, B, B, B, A, B);
    expect(findBadRow(slots)).toEqual({ bucket: 1, code: 'empty-first-hop' });
    expect(findBadRow(slots, 2)).toEqual({ bucket: 2, code: 'same-slots' });
    expect(findBadRow(slots, 3)).toBeUndefined();
  });
});
