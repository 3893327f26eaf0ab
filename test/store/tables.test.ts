import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryServer, type MemoryStore } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { TableKeys } from '../../src/store/table-head.js';
import {
  followTables,
  type Published,
  publishTable,
  readPublished,
  type TableArrival,
} from '../../src/store/tables.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { bytes } from './contract.js';

const KEY = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const NOW = 1_800_000_000;

function publication(slots: Uint32Array, version: number, changedAt: Uint32Array, key = KEY) {
  return {
    table: new ForwardingTable({ trafficset: 'web', version, hashKey: key, slots }),
    changedAt,
    planner: { version, corrections: { s1: 1 + version } },
  };
}

/** Rows of so many buckets, spread over servers 10.0.0.1 and so on. */
function rows(buckets: number, servers: number): Uint32Array {
  const slots = new Uint32Array(2 * buckets);
  for (let bucket = 0; bucket < buckets; bucket++) slots[2 * bucket] = 0x0a000001 + (bucket % servers);
  return slots;
}

async function publish(store: Store, next: ReturnType<typeof publication>, previous: Published | null) {
  const result = await publishTable(store, next, previous, []);
  if (!result.published) throw new Error('was not published');
  return result;
}

/** Publishes, version by version, tables in each of which `change` has changed the rows. */
class History {
  state: Published | null = null;
  readonly as: string[] = [];
  constructor(readonly store: Store) {}

  async next(slots: Uint32Array, changedAt?: Uint32Array): Promise<void> {
    const version = (this.state?.table.version ?? -1) + 1;
    const before = this.state?.changedAt ?? new Uint32Array(slots.length / 2);
    const ages = changedAt ?? before.map((age, at) => (this.differs(slots, at) ? NOW + version : age));
    const result = await publish(this.store, publication(slots, version, ages), this.state);
    this.state = result.state;
    this.as.push(result.as);
  }

  private differs(slots: Uint32Array, bucket: number): boolean {
    const before = this.state?.table.slots;
    return (
      before === undefined ||
      before[2 * bucket] !== slots[2 * bucket] ||
      before[2 * bucket + 1] !== slots[2 * bucket + 1]
    );
  }
}

function follower(store: Store, options = {}) {
  const tables: ForwardingTable[] = [];
  const arrivals: TableArrival[] = [];
  const refusals: string[] = [];
  const following = followTables(
    store,
    'web',
    {
      table: (table, arrival) => {
        tables.push(table);
        arrivals.push(arrival);
      },
      refused: (reason) => refusals.push(reason),
    },
    options,
  );
  onTestFinished(() => following.close());
  return { tables, arrivals, refusals, following };
}

function swapped(slots: Uint32Array, buckets: readonly number[]): Uint32Array {
  const copy = Uint32Array.from(slots);
  for (const bucket of buckets) {
    copy[2 * bucket + 1] = copy[2 * bucket];
    copy[2 * bucket] = copy[2 * bucket] === 0x0a000001 ? 0x0a000002 : 0x0a000001;
  }
  return copy;
}

describe('forwarding tables in the store', () => {
  it('come back to the conductor as they were, with ages and corrections', async () => {
    const store = new MemoryServer().open();
    const history = new History(store);
    await history.next(rows(64, 4));
    await history.next(swapped(rows(64, 4), [3, 60]));
    // Ages that are not those of the change, too.
    const ages = Uint32Array.from({ length: 64 }, (_, bucket) => bucket);
    await history.next(swapped(rows(64, 4), [3, 9, 60]), ages);
    const read = await readPublished(store, 'web');
    expect(read).toEqual(history.state);
    expect(read?.planner.corrections).toEqual({ s1: 3 });
    expect(await readPublished(store, 'dns')).toBe(null);
  });

  it('reach every node exactly, whenever it comes, over any history', async () => {
    const dip = fc.integer({ min: 0x0a000001, max: 0x0a000008 });
    const change = fc.array(fc.tuple(fc.nat(127), dip, fc.oneof(fc.constant(0), dip)), { maxLength: 150 });
    const step = fc.record({ change, joins: fc.boolean(), reads: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const server = new MemoryServer();
        const history = new History(server.open());
        const followers: ReturnType<typeof follower>[] = [];
        let slots = rows(128, 8);
        for (const { change, joins, reads } of steps) {
          slots = Uint32Array.from(slots);
          for (const [bucket, first, second] of change) {
            slots[2 * bucket] = first;
            slots[2 * bucket + 1] = second === first ? 0 : second;
          }
          // A conductor that has just taken over knows what it read.
          if (reads) history.state = await readPublished(server.open(), 'web');
          await history.next(slots);
          if (joins) followers.push(follower(server.open()));
        }
        const version = steps.length - 1;
        followers.push(follower(server.open()));
        await waitUntil('all to have it', () => followers.every((one) => one.following.version === version));
        for (const { tables, refusals } of followers) {
          expect(tables.at(-1)?.slots).toEqual(slots);
          const versions = tables.map((table) => table.version);
          expect(versions).toEqual([...versions].sort((a, b) => a - b));
          expect(refusals).toEqual([]);
          for (const one of followers) one.following.close();
        }
        const read = await readPublished(server.open(), 'web');
        expect(read?.changedAt).toEqual(history.state?.changedAt);
        // Nothing piles up: two bases, a third that is about to go, and what leads from them.
        expect((await server.open().list('tables/web/base/')).entries.length).toBeLessThanOrEqual(3);
      }),
      { numRuns: 60 },
    );
  });

  it('travel as differences of at most six bytes a bucket, and whole when those outgrow them', async () => {
    const store = new MemoryServer().open();
    const buckets = 131_072;
    const history = new History(store);
    let slots = rows(buckets, 1000);
    await history.next(slots);
    const node = follower(store);
    await waitUntil('the first', () => node.following.version === 0);
    expect(node.arrivals[0].how).toBe('base');
    slots = Uint32Array.from(slots);
    // A server of a thousand leaves its buckets to the others, and some are swapped.
    const moved = Array.from({ length: 1310 }, (_, at) => 100 * at);
    for (const [at, bucket] of moved.entries()) {
      slots[2 * bucket + 1] = slots[2 * bucket];
      slots[2 * bucket] = 0x0a000001 + ((bucket + 1 + (at % 900)) % 1000);
    }
    await history.next(slots);
    await waitUntil('the difference', () => node.following.version === 1);
    expect(node.arrivals[1].how).toBe('differences');
    const delta = await store.get(TableKeys.delta('web', 1));
    // Four bytes a DIP come once.
    expect((delta?.value.length ?? Infinity) - 4 * 1000).toBeLessThan(6 * moved.length);
    for (let version = 2; version < 14; version++) {
      const third = Array.from({ length: buckets / 3 }, (_, at) => 3 * at);
      slots = swapped(slots, third);
      await history.next(slots);
    }
    expect(history.as).toContain('difference and base');
    const late = follower(store);
    await waitUntil('both', () => late.following.version === 13 && node.following.version === 13);
    expect(late.tables[0].slots).toEqual(slots);
    expect(node.arrivals.slice(1).map(({ how }) => how)).not.toContain('base');
  });

  it('are written whole where nothing can be a difference: other key, size, or a version left out', async () => {
    const store = new MemoryServer().open();
    const node = follower(store);
    const first = await publish(store, publication(rows(64, 4), 1, new Uint32Array(64)), null);
    const second = await publish(store, publication(rows(64, 4), 5, new Uint32Array(64)), first.state);
    const other = Uint8Array.from(KEY).fill(9);
    const third = await publish(store, publication(rows(64, 4), 6, new Uint32Array(64), other), second.state);
    const fourth = await publish(
      store,
      publication(rows(128, 4), 7, new Uint32Array(128), other),
      third.state,
    );
    expect([first, second, third, fourth].map(({ as }) => as)).toEqual(['base', 'base', 'base', 'base']);
    await waitUntil('the last', () => node.following.version === 7);
    expect(node.tables.at(-1)?.bucketCount).toBe(128);
    await expect(
      publishTable(store, publication(rows(128, 4), 7, new Uint32Array(128)), fourth.state, []),
    ).rejects.toThrow(RangeError);
  });

  it('are not published with a row that no node would take', async () => {
    const history = new History(new MemoryServer().open());
    await history.next(rows(64, 4));
    const [empty, same] = [rows(64, 4), rows(64, 4)];
    empty[2 * 7] = 0;
    same[2 * 7 + 1] = same[2 * 7];
    await expect(history.next(empty)).rejects.toMatchObject({ code: 'empty-first-hop' });
    await expect(history.next(same)).rejects.toMatchObject({ code: 'same-slots' });
    await history.next(swapped(rows(64, 4), [1]));
  });

  it('are not published by one who was overtaken, nor by one whose guard does not hold', async () => {
    const server = new MemoryServer();
    const [one, two] = [server.open(), server.open()];
    await one.transact({ puts: [{ key: 'leader', value: bytes('one') }] });
    const guard = [{ key: 'leader', created: (await one.get('leader'))?.created ?? 0 }];
    const next = (version: number) =>
      publication(swapped(rows(64, 4), [version]), version, new Uint32Array(64));
    const first = await publishTable(one, next(1), null, guard);
    if (!first.published) throw new Error('refused');
    expect(await publishTable(two, next(1), null, [])).toEqual({ published: false });
    const second = await publish(two, next(2), await readPublished(two, 'web'));
    expect(await publishTable(one, next(2), first.state, guard)).toEqual({ published: false });
    await two.transact({ deletes: ['leader'] });
    await two.transact({ puts: [{ key: 'leader', value: bytes('two') }] });
    expect(await publishTable(one, next(3), second.state, guard)).toEqual({ published: false });
    expect((await readPublished(two, 'web'))?.table.slots).toEqual(second.state.table.slots);
  });

  it('are refused when older, or of the same version with other rows; unless older ones are allowed', async () => {
    const server = new MemoryServer();
    const history = new History(server.open());
    const node = follower(server.open());
    const bold = follower(server.open(), { allowOlder: true });
    for (let version = 0; version < 3; version++) await history.next(swapped(rows(64, 4), [version]));
    await waitUntil('all', () => node.following.version === 2 && bold.following.version === 2);
    server.loseData();
    await waitUntil('the loss', () => node.refusals.includes('missing'));
    const anew = new History(server.open());
    for (const [version, reason] of [
      [0, 'older-version'],
      [1, 'older-version'],
      [2, 'same-version'],
    ] as const) {
      await anew.next(swapped(rows(64, 4), [40 + version]));
      await waitUntil(reason, () => node.refusals.at(-1) === reason);
      await waitUntil('the bold one', () => bold.following.version === version);
    }
    expect(node.tables.at(-1)?.slots).toEqual(swapped(rows(64, 4), [2]));
    await anew.next(swapped(rows(64, 4), [50]));
    await waitUntil('a higher version', () => node.following.version === 3);
    // No difference leads on from other rows than those that were published: the base was read.
    expect(node.tables.at(-1)?.slots).toEqual(swapped(rows(64, 4), [50]));
  });

  it('that are in use already are not told again', async () => {
    const server = new MemoryServer();
    const history = new History(server.open());
    await history.next(rows(64, 4));
    const node = follower(server.open(), { current: history.state?.table });
    await history.next(swapped(rows(64, 4), [1]));
    await waitUntil('the next', () => node.following.version === 1);
    expect(node.arrivals.map(({ how }) => how)).toEqual(['differences']);
  });

  describe('that are damaged', () => {
    /** A store with versions 0 to 3, a base at 0. */
    const published = async () => {
      const server = new MemoryServer();
      const history = new History(server.open());
      for (let version = 0; version < 4; version++) await history.next(swapped(rows(512, 4), [version]));
      expect(history.as).toEqual(['base', 'difference', 'difference', 'difference']);
      return { store: server.open(), history };
    };
    const overwrite = async (store: MemoryStore, key: string, change: (value: Buffer) => Uint8Array) => {
      const entry = await store.get(key);
      const value = change(Buffer.from(entry?.value ?? []));
      await store.transact({ puts: [{ key, value }] });
    };
    const flipped = (value: Buffer) => {
      value[value.length >> 1] ^= 0x40;
      return value;
    };
    const truncated = (value: Buffer) => value.subarray(0, value.length - 9);

    it.each([
      ['a base with another byte', TableKeys.base('web', 0).concat('/0'), flipped],
      ['a truncated base', TableKeys.base('web', 0).concat('/0'), truncated],
      ['a difference with another byte', TableKeys.delta('web', 2), flipped],
      ['a truncated difference', TableKeys.delta('web', 2), truncated],
      ['an empty difference', TableKeys.delta('web', 2), () => new Uint8Array(0)],
    ])('are refused by node and conductor: %s', async (_what, key, change) => {
      const { store } = await published();
      await overwrite(store, key, change);
      const node = follower(store);
      await waitUntil('the refusal', () => node.refusals.length > 0);
      expect(node.refusals).toEqual(['damaged']);
      expect(node.tables).toEqual([]);
      await expect(readPublished(store, 'web')).rejects.toMatchObject({ code: 'damaged' });
    });

    it.each([
      ['no JSON', () => bytes('{')],
      ['another digest', (value: Buffer) => bytes(value.toString().replace(/"sha256":"../, '"sha256":"00'))],
    ])('are refused: a head with %s', async (_what, change) => {
      const { store, history } = await published();
      const node = follower(store, { current: history.state?.table });
      await overwrite(store, TableKeys.head('web'), (value) =>
        bytes(change(value).toString().replace('"version":3', '"version":4')),
      );
      await waitUntil('the refusal', () => node.refusals.includes('damaged'));
      expect(node.following.version).toBe(3);
    });

    it('do not hinder a node that another way leads to them', async () => {
      const { store, history } = await published();
      const node = follower(store);
      await waitUntil('it', () => node.following.version === 3);
      // The base is of no use any more; who has version 3 goes on by differences.
      await overwrite(store, TableKeys.base('web', 0).concat('/0'), flipped);
      await history.next(swapped(rows(512, 4), [77]));
      await waitUntil('the next', () => node.following.version === 4);
    });
  });

  it('are taken when the store is back, if it goes away while they are read', async () => {
    const server = new MemoryServer();
    const history = new History(server.open());
    const cutOff = server.open();
    const node = follower(cutOff);
    await history.next(rows(64, 4));
    cutOff.cutOff();
    await history.next(swapped(rows(64, 4), [1]));
    cutOff.reconnect();
    await waitUntil('it', () => node.following.version === 1);
  });
});
