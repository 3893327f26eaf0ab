import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffTables } from '../../src/table/diff.js';
import {
  addServer,
  clearSecondHops,
  drain,
  makeTable,
  type ServerWeight,
  swapHops,
} from '../../src/table/edit.js';
import { TableError } from '../../src/table/errors.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import { findBadRow } from '../../src/table/rows.js';
import { A, B, C, coded, KEY, tableOf } from './support.js';

const server = (number: number): number => 0x0a000001 + (number << 8);

function make(count: number, buckets = 256, seed = 0): ForwardingTable {
  const servers = Array.from({ length: count }, (_, index) => ({ dip: server(index + 1) }));
  return makeTable({ trafficset: 'web', hashKey: KEY, buckets, servers, seed });
}

function firsts(table: ForwardingTable): number[] {
  return Array.from({ length: table.bucketCount }, (_, bucket) => table.firstHop(bucket));
}

function count(table: ForwardingTable, dip: number) {
  return table.servers().find((candidate) => candidate.dip === dip) ?? { dip, first: 0, second: 0 };
}

describe('makeTable', () => {
  it('gives shares by weight, exact to one bucket, and no second hops', () => {
    const weights = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(weights, fc.nat(6), fc.integer(), (list, log, seed) => {
        const buckets = 32 << log;
        const servers = list.map((weight, index) => ({ dip: server(index + 1), weight }));
        const table = makeTable({ trafficset: 'web', hashKey: KEY, buckets, servers, seed });
        const total = list.reduce((sum, weight) => sum + weight, 0);
        for (const { dip, weight } of servers) {
          const exact = (buckets * weight) / total;
          expect(Math.abs(count(table, dip).first - exact)).toBeLessThan(1 + 1e-6);
        }
        expect(findBadRow(table.slots)).toBeUndefined();
        expect(table.servers().every(({ second }) => second === 0)).toBe(true);
      }),
    );
  });

  it('gives the same rows for the same seed, whatever the order of the servers, and others for another', () => {
    const servers: ServerWeight[] = [{ dip: A, weight: 2 }, { dip: B }, { dip: C }];
    const options = { trafficset: 'web', hashKey: KEY, buckets: 256, seed: 7 };
    const table = makeTable({ ...options, servers });
    expect(makeTable({ ...options, servers: [...servers].reverse() })).toEqual(table);
    expect(firsts(makeTable({ ...options, servers, seed: 8 }))).not.toEqual(firsts(table));
    expect([count(table, A).first, count(table, B).first]).toEqual([128, 64]);
    expect([table.version, table.trafficset, table.hashKey]).toEqual([1, 'web', KEY]);
  });

  it('scatters the servers over the table', () => {
    // In a row of 4096 fair coins, no run of 40 heads; and every part of the table has its share of each server.
    const table = make(2, 4096);
    const text = firsts(table)
      .map((dip) => (dip === server(1) ? 'x' : 'y'))
      .join('');
    expect(text).not.toMatch(/x{40}|y{40}/);
    for (let part = 0; part < 4096; part += 512) {
      const share = text.slice(part, part + 512).replaceAll('y', '').length;
      expect(share).toBeGreaterThan(180);
      expect(share).toBeLessThan(332);
    }
  });

  it('refuses what makes no table', () => {
    const options = { trafficset: 'web', hashKey: KEY, buckets: 4, servers: [{ dip: A }] };
    const made = (change: object) => () => makeTable({ ...options, ...change });
    expect(made({ servers: [] })).toThrow(coded('no-servers'));
    expect(made({ servers: [{ dip: A }, { dip: B }, { dip: A }] })).toThrow('10.0.1.1 is given twice');
    expect(made({ servers: [1, 2, 3, 4, 5].map((dip) => ({ dip })) })).toThrow(coded('too-many-servers'));
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e7]) {
      expect(made({ servers: [{ dip: A, weight }] }), String(weight)).toThrow(coded('bad-weight'));
    }
    for (const dip of [0, -1, 1.5, 2 ** 32]) {
      expect(made({ servers: [{ dip }] }), String(dip)).toThrow(coded('bad-address'));
    }
    expect(made({ buckets: 5 })).toThrow(coded('bad-bucket-count'));
    expect(made({ buckets: -4 })).toThrow(coded('bad-bucket-count'));
    expect(made({ trafficset: '' })).toThrow(coded('bad-name'));
    expect(made({ hashKey: new Uint8Array(7) })).toThrow(coded('bad-hash-key'));
  });
});

describe('drain', () => {
  it('moves the server to second hop, and its buckets to the others by their shares', () => {
    const servers = [
      { dip: A, weight: 2 },
      { dip: B, weight: 1 },
      { dip: C, weight: 3 },
    ];
    const old = makeTable({ trafficset: 'web', hashKey: KEY, buckets: 1024, servers });
    const table = drain(old, A, { keepSecondHop: true });
    expect(table.version).toBe(2);
    expect(count(table, A)).toEqual({ dip: A, first: 0, second: count(old, A).first });
    expect(count(table, B).first).toBe(256);
    expect(count(table, C).first).toBe(768);
    const diff = diffTables(old, table);
    expect(diff.counts['handed-over']).toBe(count(old, A).first);
    expect(diff.changed).toBe(count(old, A).first);
    expect(diff.losing).toBe(0);
  });

  it('removes the server from both slots when it is not kept', () => {
    const table = drain(drain(make(3), server(1), { keepSecondHop: true }), server(1), {
      keepSecondHop: false,
    });
    expect(table.servers().map(({ dip }) => dip)).toEqual([server(2), server(3)]);
    const atOnce = drain(make(3), server(1), { keepSecondHop: false });
    expect(atOnce.servers().every(({ second }) => second === 0)).toBe(true);
    expect(diffTables(make(3), atOnce).counts.replaced).toBe(count(make(3), server(1)).first);
  });

  it('prefers the second hop of a bucket as its new first: that breaks nothing', () => {
    // Half of C's buckets know B as second hop, and half of its share is B's.
    const old = tableOf([
      [A, 0],
      [B, 0],
      [C, B],
      [C, 0],
    ]);
    const table = drain(old, C, { keepSecondHop: true });
    expect([table.firstHop(2), table.secondHop(2)]).toEqual([B, C]);
    expect([table.firstHop(3), table.secondHop(3)]).toEqual([A, C]);
    expect(diffTables(old, table).losing).toBe(0);
    // Not kept: B is first now and has no reason to be second.
    const gone = drain(old, C, { keepSecondHop: false });
    expect([gone.firstHop(2), gone.secondHop(2)]).toEqual([B, 0]);
  });

  it('undoes the coming of a server by exchanging hops wherever the shares allow', () => {
    const added = addServer(make(3, 1024), server(9));
    const diff = diffTables(added, drain(added, server(9), { keepSecondHop: true }));
    expect(diff.changed).toBe(256);
    expect(diff.counts.swapped).toBeGreaterThan(250);
  });

  it('keeps a second hop that still has connections when the first goes for good', () => {
    const old = tableOf([
      [A, B],
      [C, 0],
    ]);
    const table = drain(old, A, { keepSecondHop: false });
    expect([table.firstHop(0), table.secondHop(0)]).toEqual([C, B]);
  });

  it('refuses strangers and the last server', () => {
    expect(() => drain(make(2), server(9), { keepSecondHop: true })).toThrow(coded('unknown-server'));
    const last = drain(make(2), server(1), { keepSecondHop: true });
    expect(() => drain(last, server(2), { keepSecondHop: true })).toThrow(coded('no-servers'));
  });
});

describe('swapHops', () => {
  it('exchanges the hops of a fraction of those buckets that have both', () => {
    const old = drain(make(3, 1024), server(1), { keepSecondHop: true });
    const both = count(old, server(1)).second;
    for (const fraction of [0, 0.25, 0.5, 1]) {
      const diff = diffTables(old, swapHops(old, fraction, 5), 2000);
      expect(diff.counts.swapped).toBe(Math.round(fraction * both));
      expect(diff.changed).toBe(diff.counts.swapped);
    }
    expect(swapHops(old, 0.5, 1)).toEqual(swapHops(old, 0.5, 1));
    expect(swapHops(old, 0.5, 1)).not.toEqual(swapHops(old, 0.5, 2));
    expect(diffTables(make(3), swapHops(make(3), 1)).changed).toBe(0);
  });

  it('refuses fractions that are none', () => {
    for (const fraction of [-0.1, 1.1, Number.NaN]) {
      expect(() => swapHops(make(2), fraction)).toThrow(coded('bad-fraction'));
    }
  });
});

describe('addServer', () => {
  it('takes an equal share from everybody, and breaks nothing in a table without second hops', () => {
    const old = make(3, 1024);
    const table = addServer(old, server(9), 3);
    expect(count(table, server(9))).toEqual({ dip: server(9), first: 256, second: 0 });
    for (const number of [1, 2, 3]) {
      const { first, second } = count(table, server(number));
      expect(Math.abs(first - 256)).toBeLessThanOrEqual(1);
      expect(second).toBe(count(old, server(number)).first - first);
    }
    expect(diffTables(old, table).losing).toBe(0);
  });

  it('brings a drained server back by exchanging hops', () => {
    const drained = drain(make(4, 1024), server(1), { keepSecondHop: true });
    const back = addServer(drained, server(1));
    expect(count(back, server(1)).first).toBe(256);
    expect(diffTables(drained, back).counts.swapped).toBeGreaterThan(250);
    expect(diffTables(drained, back).losing).toBe(0);
  });

  it('pushes out second hops only when nothing else is left', () => {
    // A quarter of the table remembers server 1, and the new one takes a third: more than a quarter is free.
    const old = drain(make(4, 1024), server(1), { keepSecondHop: true });
    expect(diffTables(old, addServer(old, server(9))).losing).toBe(0);
    const full = addServer(make(1, 16), server(2));
    const losing = diffTables(full, addServer(addServer(full, server(3)), server(4)));
    expect(losing.losing).toBeGreaterThan(0);
  });

  it('refuses a server that is there, and one for which there is no bucket', () => {
    expect(() => addServer(make(2), server(1))).toThrow(coded('duplicate-server'));
    expect(() => addServer(make(4, 4), server(9))).toThrow(coded('too-many-servers'));
    expect(() => addServer(make(2), 0)).toThrow(coded('bad-address'));
  });
});

describe('clearSecondHops', () => {
  it('leaves the first hops', () => {
    const old = drain(make(3), server(1), { keepSecondHop: true });
    const table = clearSecondHops(old);
    expect(firsts(table)).toEqual(firsts(old));
    expect(table.servers().every(({ second }) => second === 0)).toBe(true);
    expect(table.version).toBe(3);
  });
});

describe('any sequence of edits', () => {
  type Edit = (table: ForwardingTable) => ForwardingTable;
  const anyServer = fc.integer({ min: 1, max: 6 }).map(server);
  const edits = fc.oneof(
    fc.tuple(anyServer, fc.boolean()).map(
      ([dip, keepSecondHop]): Edit =>
        (table) =>
          drain(table, dip, { keepSecondHop }),
    ),
    fc.tuple(anyServer, fc.nat()).map(
      ([dip, seed]): Edit =>
        (table) =>
          addServer(table, dip, seed),
    ),
    fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat()).map(
      ([fraction, seed]): Edit =>
        (table) =>
          swapHops(table, fraction, seed),
    ),
    fc.constant<Edit>(clearSecondHops),
  );

  it('keeps tables sound, counts versions, and leaves its input alone', () => {
    let made = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(edits, { maxLength: 12 }), (servers, sequence) => {
        let table = make(servers, 64);
        for (const edit of sequence) {
          const before = table.slots.slice();
          let next: ForwardingTable;
          try {
            next = edit(table);
          } catch (error) {
            // What is impossible is refused by name, and changes nothing.
            if (!(error instanceof TableError)) throw error;
            expect(table.slots).toEqual(before);
            continue;
          }
          made++;
          expect(table.slots).toEqual(before);
          expect(next.slots.buffer).not.toBe(table.slots.buffer);
          expect(next.version).toBe(table.version + 1);
          expect(next.hashKey).toEqual(table.hashKey);
          expect(next.bucketCount).toBe(64);
          expect(findBadRow(next.slots)).toBeUndefined();
          table = next;
        }
      }),
      { numRuns: 300 },
    );
    expect(made).toBeGreaterThan(500);
  });

  it('refuses tables that are broken already', () => {
    const broken = tableOf([
      [A, 0],
      [B, B],
    ]);
    expect(() => swapHops(broken, 0)).toThrow(coded('same-slots'));
    expect(() => clearSecondHops(tableOf([[0, A]]))).toThrow(coded('empty-first-hop'));
  });
});
