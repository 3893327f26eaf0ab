import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_OPERATIONS } from '../../src/store/limits.js';
import { type Change, type Listing, MAX_VALUE, type Store, type Transaction } from '../../src/store/store.js';
import { waitUntil } from '../../src/testbed/wait.js';

/** What is told to one who follows. */
export class Told {
  readonly resets: Listing[] = [];
  readonly batches: (readonly Change[])[] = [];
  readonly availability: boolean[] = [];
  /** Keys and values as one knows them who believes all that is told. */
  readonly known = new Map<string, string>();

  reset(listing: Listing): void {
    this.resets.push(listing);
    this.known.clear();
    for (const { key, value } of listing.entries) this.known.set(key, text(value));
  }

  changes(changes: readonly Change[]): void {
    this.batches.push(changes);
    for (const change of changes) {
      if (change.type === 'put') this.known.set(change.entry.key, text(change.entry.value));
      else this.known.delete(change.key);
    }
  }

  available(available: boolean): void {
    this.availability.push(available);
  }

  get object(): Record<string, string> {
    return Object.fromEntries([...this.known].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

export function text(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString();
}

export function put(key: string, value: string): Transaction {
  return { puts: [{ key, value: bytes(value) }] };
}

/** A follower of a prefix, with its first reset told. */
export async function followed(store: Store, prefix: string): Promise<Told> {
  const told = new Told();
  const following = store.follow(prefix, {
    reset: (listing) => told.reset(listing),
    changes: (changes) => told.changes(changes),
    available: (available) => told.available(available),
  });
  onTestFinished(() => following.close());
  await waitUntil('the first reset', () => told.resets.length > 0);
  return told;
}

/**
 * What every store does.
 * @param open one more client of the same store, which is empty before each test; the tests close it
 */
export function storeContract(name: string, open: () => Promise<Store>): void {
  describe(`${name} keeps the contract of stores`, () => {
    const opened = async () => {
      const store = await open();
      onTestFinished(() => store.close());
      return store;
    };

    it('gives back what was put, and null where nothing is', async () => {
      const store = await opened();
      expect(await store.get('a/b')).toBe(null);
      const result = await store.transact({ puts: [{ key: 'a/b', value: Uint8Array.of(0, 255, 7) }] });
      const entry = await store.get('a/b');
      expect([...(entry?.value ?? [])]).toEqual([0, 255, 7]);
      expect(result).toEqual({ done: true, revision: entry?.revision });
      expect(entry?.created).toBe(entry?.revision);
    });

    it('takes an empty value and one of the greatest size, and refuses a greater one', async () => {
      const store = await opened();
      const large = new Uint8Array(MAX_VALUE).fill(0x5a);
      await store.transact({ puts: [{ key: 'empty', value: new Uint8Array(0) }] });
      await store.transact({ puts: [{ key: 'large', value: large }] });
      expect((await store.get('empty'))?.value.length).toBe(0);
      expect(Buffer.compare((await store.get('large'))?.value ?? new Uint8Array(0), large)).toBe(0);
      const larger = { key: 'larger', value: new Uint8Array(MAX_VALUE + 1) };
      await expect(store.transact({ puts: [larger] })).rejects.toMatchObject({ code: 'too-big' });
      const many = Array.from({ length: MAX_OPERATIONS + 1 }, (_, at) => ({
        key: `k${at}`,
        value: bytes(''),
      }));
      await expect(store.transact({ puts: many })).rejects.toMatchObject({ code: 'too-big' });
      expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['empty', 'large']);
    });

    it('lists what begins with a prefix, in the order of the keys', async () => {
      const store = await opened();
      for (const key of ['b/2', 'b/10', 'a', 'b', 'b/1', 'c/1']) await store.transact(put(key, key));
      const listing = await store.list('b/');
      expect(listing.entries.map(({ key, value }) => [key, text(value)])).toEqual([
        ['b/1', 'b/1'],
        ['b/10', 'b/10'],
        ['b/2', 'b/2'],
      ]);
      expect(listing.revision).toBeGreaterThanOrEqual((await store.get('c/1'))?.revision ?? Infinity);
      expect((await store.list('b/3')).entries).toEqual([]);
    });

    it('counts a revision with every change, and remembers since when a key exists', async () => {
      const store = await opened();
      await store.transact(put('a', '1'));
      const first = await store.get('a');
      await store.transact(put('a', '2'));
      const second = await store.get('a');
      await store.transact({ deletes: ['a'] });
      await store.transact(put('a', '3'));
      const third = await store.get('a');
      expect(second?.revision).toBeGreaterThan(first?.revision ?? Infinity);
      expect(second?.created).toBe(first?.created);
      expect(third?.created).toBe(third?.revision);
      expect(third?.created).toBeGreaterThan(second?.revision ?? Infinity);
    });

    it('changes several keys at once, with one revision', async () => {
      const store = await opened();
      await store.transact(put('old', 'x'));
      const { revision } = await store.transact({
        puts: [
          { key: 'a', value: bytes('1') },
          { key: 'b', value: bytes('2') },
        ],
        deletes: ['old', 'absent'],
      });
      const { entries } = await store.list('');
      expect(entries.map((entry) => [entry.key, entry.revision])).toEqual([
        ['a', revision],
        ['b', revision],
      ]);
    });

    it('does nothing when a comparison does not hold', async () => {
      const store = await opened();
      await store.transact(put('a', '1'));
      await store.transact(put('a', '2'));
      const entry = await store.get('a');
      const [revision, created] = [entry?.revision ?? 0, entry?.created ?? 0];
      const attempt = async (compare: NonNullable<Transaction['compare']>) => {
        const { done } = await store.transact({ ...put('b', 'x'), compare });
        const there = (await store.get('b')) !== null;
        expect(there).toBe(done);
        await store.transact({ deletes: ['b'] });
        return done;
      };
      expect(await attempt([{ key: 'a', revision }])).toBe(true);
      expect(await attempt([{ key: 'a', created }])).toBe(true);
      expect(await attempt([{ key: 'absent', revision: 0 }])).toBe(true);
      expect(await attempt([{ key: 'absent', created: 0 }])).toBe(true);
      expect(await attempt([{ key: 'a', revision: created }])).toBe(false);
      expect(await attempt([{ key: 'a', created: revision }])).toBe(false);
      expect(await attempt([{ key: 'a', revision: 0 }])).toBe(false);
      expect(await attempt([{ key: 'absent', revision }])).toBe(false);
      expect(
        await attempt([
          { key: 'a', revision },
          { key: 'absent', created },
        ]),
      ).toBe(false);
    });

    it('loses no increment of two clients that compare and swap', async () => {
      const [one, two] = [await opened(), await opened()];
      const increment = async (store: Store) => {
        for (;;) {
          const entry = await store.get('counter');
          const value = Number(text(entry?.value) || '0') + 1;
          const compare = [{ key: 'counter', revision: entry?.revision ?? 0 }];
          if ((await store.transact({ ...put('counter', `${value}`), compare })).done) return;
        }
      };
      const work = async (store: Store) => {
        for (let round = 0; round < 15; round++) await increment(store);
      };
      await Promise.all([work(one), work(two), work(one)]);
      expect(text((await two.get('counter'))?.value)).toBe('45');
    });

    it('tells followers all there is, and then every change in order', async () => {
      const [writer, reader] = [await opened(), await opened()];
      await writer.transact(put('a/1', 'one'));
      await writer.transact(put('b/1', 'other'));
      const told = await followed(reader, 'a/');
      expect(told.resets[0].entries.map(({ key }) => key)).toEqual(['a/1']);
      await writer.transact(put('a/2', 'two'));
      await writer.transact(put('b/2', 'other'));
      await writer.transact({ deletes: ['a/1'], puts: [{ key: 'a/3', value: bytes('three') }] });
      await waitUntil('the last change', () => told.known.has('a/3') && !told.known.has('a/1'));
      expect(told.object).toEqual({ 'a/2': 'two', 'a/3': 'three' });
      const changes = told.batches.flat();
      const revisions = changes.map((change) =>
        change.type === 'put' ? change.entry.revision : change.revision,
      );
      expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
      expect(changes.length).toBe(3);
      expect(told.resets.length).toBe(1);
      expect(told.availability).toEqual([]);
    });

    it('misses nothing that is changed while one begins to follow', async () => {
      const [writer, reader] = [await opened(), await opened()];
      const writing = (async () => {
        for (let at = 0; at < 40; at++) await writer.transact(put('n', `${at}`));
      })();
      const told = await followed(reader, 'n');
      await writing;
      await waitUntil('the last value', () => told.known.get('n') === '39');
    });

    it('tells nothing to one who has closed', async () => {
      const store = await opened();
      const told = new Told();
      const following = store.follow('', told);
      await waitUntil('the first reset', () => told.resets.length > 0);
      following.close();
      const other = await followed(store, '');
      await store.transact(put('a', '1'));
      await waitUntil('another to be told', () => other.known.has('a'));
      expect(told.batches).toEqual([]);
    });

    it('keeps keys of a lease while it is kept up, and deletes them when it is revoked', async () => {
      const [holder, other] = [await opened(), await opened()];
      const lease = await holder.lease(1);
      await holder.transact({ puts: [{ key: 'l/a', value: bytes('1'), lease }] });
      await holder.transact(put('l/b', '2'));
      const told = await followed(other, 'l/');
      // Longer than it would live by itself.
      const until = performance.now() + 2_000;
      await waitUntil('twice its time to pass', () => performance.now() > until);
      expect(lease.valid).toBe(true);
      expect(told.object).toEqual({ 'l/a': '1', 'l/b': '2' });
      await lease.revoke();
      await lease.lost;
      expect(lease.valid).toBe(false);
      await waitUntil('its key to go', () => !told.known.has('l/a'));
      expect(told.object).toEqual({ 'l/b': '2' });
      await expect(
        holder.transact({ puts: [{ key: 'l/a', value: bytes('1'), lease }] }),
      ).rejects.toMatchObject({ code: 'lease-lost' });
    });

    it('keeps a key that was put without the lease since', async () => {
      const store = await opened();
      const lease = await store.lease(1);
      await store.transact({ puts: [{ key: 'a', value: bytes('1'), lease }] });
      await store.transact(put('a', '2'));
      await lease.revoke();
      expect(text((await store.get('a'))?.value)).toBe('2');
    });

    it('gives up its leases when it is closed', async () => {
      const [holder, other] = [await open(), await opened()];
      const lease = await holder.lease(30);
      await holder.transact({ puts: [{ key: 'a', value: bytes('1'), lease }] });
      expect(await other.get('a')).not.toBe(null);
      await holder.close();
      expect(await other.get('a')).toBe(null);
      await expect(holder.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    });
  });
}
