import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../src/table/address.js';
import { addServer, clearSecondHops, drain, makeTable, swapHops } from '../../src/table/edit.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import { findBadRow } from '../../src/table/rows.js';

/** Edits with switched roles: new flows go to the second hop where there is one. */

const SERVERS = ['10.0.1.1', '10.0.2.1', '10.0.3.1', '10.0.4.1'].map(parseIpv4);
const [A, B, C, D] = SERVERS;
const HASH_KEY = Buffer.alloc(8);
const made = (servers: readonly number[], buckets = 64) =>
  makeTable({ trafficset: 'game', hashKey: HASH_KEY, buckets, servers: servers.map((dip) => ({ dip })) });

function newcomers(table: ForwardingTable): Map<number, number> {
  const counts = new Map<number, number>();
  for (let bucket = 0; bucket < table.bucketCount; bucket++) {
    const dip = table.secondHop(bucket) || table.firstHop(bucket);
    counts.set(dip, (counts.get(dip) ?? 0) + 1);
  }
  return counts;
}

/** Buckets of `before` in which a server stood that does not stand there any more. */
function lost(before: ForwardingTable, after: ForwardingTable): number[] {
  return Array.from({ length: before.bucketCount }, (_, bucket) => bucket).flatMap((bucket) =>
    [before.firstHop(bucket), before.secondHop(bucket)].filter(
      (dip) => dip !== 0 && dip !== after.firstHop(bucket) && dip !== after.secondHop(bucket),
    ),
  );
}

describe('drain with switched roles', () => {
  it('leaves the server first, and gives new flows to the others', () => {
    const before = made([A, B, C]);
    const after = drain(before, A, { keepSecondHop: true, roles: 'udp' });
    expect(newcomers(after).has(A)).toBe(false);
    expect(lost(before, after)).toEqual([]);
    for (let bucket = 0; bucket < 64; bucket++) {
      if (before.firstHop(bucket) === A) expect(after.firstHop(bucket)).toBe(A);
      else expect(after.secondHop(bucket)).toBe(0);
    }
  });

  it('exchanges the hops where the server got new flows as second', () => {
    const before = addServer(made([A, B]), C, 1, 'udp');
    const after = drain(before, C, { keepSecondHop: true, roles: 'udp' });
    expect(newcomers(after).has(C)).toBe(false);
    expect(lost(before, after)).toEqual([]);
  });

  it('can forget the server, whose flows break', () => {
    const after = drain(made([A, B, C]), A, { keepSecondHop: false, roles: 'udp' });
    expect([...after.members]).toEqual([B, C]);
    expect(findBadRow(after.slots)).toBeUndefined();
  });

  it('needs somebody else', () => {
    expect(() => drain(made([A]), A, { keepSecondHop: true, roles: 'udp' })).toThrow('the only server left');
    expect(() => drain(made([A]), B, { keepSecondHop: true, roles: 'udp' })).toThrow('not in the table');
  });
});

describe('add with switched roles', () => {
  it('makes the server second hop in its share of the buckets', () => {
    const before = made([A, B, C]);
    const after = addServer(before, D, 0, 'udp');
    expect(newcomers(after).get(D)).toBe(16);
    expect(lost(before, after)).toEqual([]);
    expect(after.servers().find(({ dip }) => dip === D)).toMatchObject({ first: 0, second: 16 });
    expect(() => addServer(after, D, 0, 'udp')).toThrow('gets new flows already');
  });

  it('brings a drained server back without a loss', () => {
    const before = drain(made([A, B, C]), A, { keepSecondHop: true, roles: 'udp' });
    const after = addServer(before, A, 0, 'udp');
    expect(newcomers(after).get(A)).toBe(21);
    expect(lost(before, after)).toEqual([]);
  });
});

it('lets second hops move up', () => {
  const table = drain(made([A, B, C]), A, { keepSecondHop: true, roles: 'udp' });
  const settled = clearSecondHops(table, 'udp');
  expect(newcomers(settled)).toEqual(newcomers(table));
  expect([...settled.members]).toEqual([B, C]);
});

it('keeps every row sound, and a drained server from new flows, through any history', () => {
  const edit = fc.tuple(
    fc.constantFrom('drain', 'add', 'swap', 'settle'),
    fc.constantFrom(...SERVERS),
    fc.nat(99),
  );
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), (edits) => {
      let table = made([A, B, C, D], 128);
      for (const [what, dip, seed] of edits) {
        const before = table;
        try {
          if (what === 'drain') table = drain(table, dip, { keepSecondHop: true, roles: 'udp' });
          else if (what === 'add') table = addServer(table, dip, seed, 'udp');
          else if (what === 'swap') table = swapHops(table, 0.5, seed);
          else table = clearSecondHops(table, 'udp');
        } catch (error) {
          expect(String(error)).toMatch(/not in the table|only server left|gets new flows already/);
          continue;
        }
        expect(findBadRow(table.slots)).toBeUndefined();
        expect(table.version).toBe(before.version + 1);
        if (what === 'drain') {
          expect(newcomers(table).has(dip)).toBe(false);
          expect(lost(before, table)).toEqual([]);
        }
      }
    }),
  );
});
