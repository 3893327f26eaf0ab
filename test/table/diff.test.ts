import { describe, expect, it } from 'vitest';
import { diffTables } from '../../src/table/diff.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { A, B, C, tableOf } from './support.js';

describe('diffTables', () => {
  const before = tableOf(
    [
      [A, 0],
      [A, B],
      [A, B],
      [A, B],
      [A, B],
      [A, B],
      [A, 0],
      [A, B],
    ],
    1,
  );

  it('names what happened to each bucket, and where connections are lost', () => {
    const after = tableOf(
      [
        [A, 0],
        [B, A],
        [C, A],
        [C, B],
        [A, 0],
        [A, C],
        [A, C],
        [B, 0],
      ],
      2,
    );
    const diff = diffTables(before, after);
    expect(diff.rows.map(({ bucket, kind }) => [bucket, kind])).toEqual([
      [1, 'swapped'],
      [2, 'handed-over'],
      [3, 'replaced'],
      [4, 'second-hop-cleared'],
      [5, 'second-hop-changed'],
      [6, 'second-hop-changed'],
      [7, 'replaced'],
    ]);
    expect(diff.rows[0]).toEqual({ bucket: 1, kind: 'swapped', before: [A, B], after: [B, A] });
    expect(diff.counts).toEqual({
      swapped: 1,
      'handed-over': 1,
      replaced: 2,
      'second-hop-cleared': 1,
      'second-hop-changed': 2,
    });
    expect(diff.changed).toBe(7);
    // Buckets 2, 3, 4, 5 and 7: B, A, B, B, A. Bucket 6 only gained a server.
    expect(diff.losing).toBe(5);
    expect(diff.differs).toBe(true);
    expect([diff.versionBefore, diff.versionAfter]).toEqual([1, 2]);
    expect(diff.servers).toEqual([
      { dip: A, firstBefore: 8, firstAfter: 4, secondBefore: 0, secondAfter: 2 },
      { dip: B, firstBefore: 0, firstAfter: 2, secondBefore: 6, secondAfter: 1 },
      { dip: C, firstBefore: 0, firstAfter: 2, secondBefore: 0, secondAfter: 2 },
    ]);
  });

  it('lists no more rows than asked for, and counts all', () => {
    const after = tableOf(new Array(8).fill([C, 0]), 2);
    expect(diffTables(before, after, 3).rows).toHaveLength(3);
    expect(diffTables(before, after, 3).changed).toBe(8);
    expect(diffTables(before, after, 0).rows).toEqual([]);
  });

  it('finds nothing between a table and its next version with the same rows', () => {
    const diff = diffTables(before, new ForwardingTable({ ...before, version: 2 }));
    expect(diff).toMatchObject({ differs: false, changed: 0, losing: 0, servers: [], rows: [] });
  });

  it('tells what moves every flow', () => {
    const rekeyed = new ForwardingTable({
      ...before,
      hashKey: before.hashKey.map((byte, at) => (at === 7 ? byte ^ 1 : byte)),
    });
    expect(diffTables(before, rekeyed)).toMatchObject({ differs: true, hashKeyChanged: true, changed: 0 });
    const larger = tableOf(new Array(16).fill([A, B]));
    expect(diffTables(before, larger)).toMatchObject({
      differs: true,
      bucketCountChanged: true,
      changed: 0,
      rows: [],
    });
    expect(diffTables(larger, before)).toMatchObject({ differs: true, bucketCountChanged: true });
    const renamed = new ForwardingTable({ ...before, trafficset: 'dns' });
    expect(diffTables(before, renamed)).toMatchObject({ differs: true, trafficsetChanged: true, changed: 0 });
  });
});
