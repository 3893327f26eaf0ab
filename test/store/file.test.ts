import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FileStore, type FileStoreOptions } from '../../src/store/file.js';
import { Journal } from '../../src/store/file-journal.js';
import { encodeEntry } from '../../src/store/file-record.js';
import { openStore } from '../../src/store/open.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { runEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';
import { Client } from './clients.js';
import { bytes, followed, put, storeContract, text } from './contract.js';

let parent = '';
let directory = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'twohop-store-'));
  directory = join(parent, 'store');
  // The last thing of all: what the test opened and started is closed before.
  const made = parent;
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
});

storeContract('the file store', () => openStore(`file:${directory}`));

function opened(options?: FileStoreOptions): FileStore {
  const store = FileStore.open(directory, options);
  onTestFinished(() => store.close());
  return store;
}

function inside(name: string): string[] {
  return readdirSync(join(directory, name)).sort();
}

describe('the file store', () => {
  it('has everything again when it is opened anew, in the same revision', async () => {
    const store = FileStore.open(directory);
    for (let at = 0; at < 10; at++) await store.transact(put(`k${at % 4}`, `${at}`));
    await store.transact({ deletes: ['k1'] });
    const before = await store.list('');
    await store.close();
    expect(await opened().list('')).toEqual(before);
  });

  it('goes on from snapshots, and keeps only what is needed of its journal', async () => {
    const store = opened({ snapshotEvery: 10 });
    for (let at = 0; at < 57; at++) await store.transact(put(`k${at % 4}`, `${at}`));
    expect(inside('snapshot').map(Number)).toEqual([40, 50]);
    expect(inside('journal').map(Number)).toEqual(Array.from({ length: 18 }, (_, at) => 40 + at));
    expect(inside('tmp')).toEqual([]);
    expect(await opened().list('')).toEqual(await store.list(''));
  });

  it('tells all there is to a follower that fell behind the journal', async () => {
    const slow = opened();
    const told = await followed(slow, '');
    const fast = opened({ snapshotEvery: 5 });
    // In one go: the other does not get to look.
    const writes = Array.from({ length: 30 }, (_, at) => fast.transact(put(`k${at}`, 'x')));
    await Promise.all(writes);
    await waitUntil('it to catch up', () => told.known.size === 30);
    expect(told.resets.length).toBe(2);
    expect((await slow.transact(put('next', 'x'))).revision).toBe(31);
  });

  it('does not take for news what one who was stopped for long links into the past', async () => {
    const store = opened({ snapshotEvery: 5 });
    for (let at = 1; at <= 4; at++) await store.transact(put('k', `${at}`));
    const behind = opened();
    for (let at = 5; at <= 25; at++) await store.transact(put('k', `${at}`));
    // Revision 5 is free again; the one who was stopped has it in hand.
    expect(inside('journal').map(Number)).not.toContain(5);
    const entry = {
      operation: { puts: [{ key: 'k', value: bytes('old'), lease: null }], deletes: [] },
      durable: true,
    };
    const journal = new Journal(directory);
    expect(() => journal.append(5, entry, [])).toThrow(expect.objectContaining({ code: 'uncertain' }));
    // Killed before it noticed: the file stays, and nobody falls for it.
    journal.place(encodeEntry(5, entry), join(directory, 'journal', '5'.padStart(16, '0')), false);
    expect(text((await behind.get('k'))?.value)).toBe('25');
    expect(text((await opened().get('k'))?.value)).toBe('25');
  });

  it('loses no increment of several processes, one of them stopped in the middle, one killed', async () => {
    const address = `file:${directory}`;
    const clients = [1, 2, 3].map(() => new Client(address, 'count', 'n', '60'));
    const stopped = new Client(address, 'write', 'big');
    const killed = new Client(address, 'write', 'big');
    for (const client of [...clients, stopped, killed]) await client.says('ready');
    stopped.child.kill('SIGSTOP');
    killed.child.kill('SIGKILL');
    for (const client of clients) await client.ended();
    const store = opened();
    expect(text((await store.get('n'))?.value)).toBe('180');
    stopped.child.kill('SIGCONT');
    await waitUntil('the stopped one to write on', async () => {
      const { revision } = await store.list('');
      return (await store.get('big'))?.revision === revision;
    });
    expect(text((await store.get('n'))?.value)).toBe('180');
  });

  it('removes what killed processes left half-written', async () => {
    await opened().transact(put('k', '1'));
    const [left, fresh] = [join(directory, 'tmp', '1-left'), join(directory, 'tmp', '1-fresh')];
    for (const path of [left, fresh]) writeFileSync(path, 'half');
    utimesSync(left, new Date(0), new Date(0));
    opened();
    expect(inside('tmp')).toEqual(['1-fresh']);
  });

  describe('a file that is damaged', () => {
    const journal = (revision: number) => join(directory, 'journal', `${revision}`.padStart(16, '0'));
    const writtenTo = async (last: number, options?: FileStoreOptions) => {
      const store = opened(options);
      for (let at = 1; at <= last; at++) await store.transact(put('k', `${at}`));
      return store;
    };

    it.each([
      ['truncated', (path: string) => truncateSync(path, statSync(path).size - 3), /is truncated/],
      ['emptied', (path: string) => truncateSync(path, 0), /is empty/],
      ['overwritten', (path: string) => writeFileSync(path, 'x'.repeat(100)), /does not begin/],
      [
        'changed in one byte',
        (path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace('"deletes"', '"Deletes"')),
        /another checksum/,
      ],
      [
        'of a newer format',
        (path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace('store 1', 'store 2')),
        /another release/,
      ],
      ['another one', (path: string) => cpSync(journal(1), path), /is the entry of revision 1/],
    ])('is named, and nothing is written behind it: %s', async (_what, damage, message) => {
      const store = await writtenTo(3);
      damage(journal(2));
      expect(() => FileStore.open(directory)).toThrow(
        expect.objectContaining({ code: 'damaged', message: expect.stringMatching(message) }),
      );
      expect(() => FileStore.open(directory)).toThrow(journal(2));
      // Who had read it before goes on.
      expect(text((await store.get('k'))?.value)).toBe('3');
    });

    it('stops those who are running, until somebody repairs it', async () => {
      const store = await writtenTo(3);
      const told = await followed(store, '');
      const good = encodeEntry(4, {
        operation: { puts: [{ key: 'k', value: bytes('four'), lease: null }], deletes: [] },
        durable: true,
      });
      writeFileSync(journal(4), good.subarray(0, 50));
      await waitUntil('the follower to know', () => told.availability.includes(false));
      await expect(store.transact(put('k', 'x'))).rejects.toMatchObject({ code: 'damaged' });
      expect(inside('journal').length).toBe(4);
      writeFileSync(journal(4), good);
      await waitUntil('the follower to know', () => told.known.get('k') === 'four');
      expect(told.availability).toEqual([false, true]);
      expect((await store.transact(put('k', 'x'))).revision).toBe(5);
    });

    it('may be removed with all behind it, and what was written there is gone for all', async () => {
      const store = await writtenTo(5);
      const told = await followed(store, '');
      for (const revision of [4, 5]) rmSync(journal(revision));
      await waitUntil('the follower to know', () => told.known.get('k') === '3');
      expect(told.resets.length).toBe(2);
      expect((await store.transact(put('k', 'new'))).revision).toBe(4);
    });

    it('may be the newest snapshot: without it there is the one before', async () => {
      const store = await writtenTo(27, { snapshotEvery: 10 });
      const path = join(directory, 'snapshot', '20'.padStart(16, '0'));
      truncateSync(path, 70);
      expect(() => FileStore.open(directory)).toThrow(/snapshot\/0+20 .*Remove this file/);
      rmSync(path);
      expect(await opened().list('')).toEqual(await store.list(''));
    });
  });

  it('is away while its directory is, and comes back by itself', async () => {
    const store = opened();
    await store.transact(put('k', '1'));
    const told = await followed(store, '');
    renameSync(directory, `${directory}.away`);
    await waitUntil('it to be away', () => told.availability.includes(false));
    await expect(store.get('k')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is not there any more'),
    });
    expect(readdirSync(parent)).toEqual(['store.away']);
    renameSync(`${directory}.away`, directory);
    await waitUntil('it to be back', () => told.availability.includes(true));
    expect(text((await store.get('k'))?.value)).toBe('1');
    expect(told.resets.length).toBe(1);
  });

  it('begins anew where its directory was emptied, and says so', async () => {
    const store = opened();
    for (let at = 0; at < 3; at++) await store.transact(put('k', `${at}`));
    const told = await followed(store, '');
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    await waitUntil('the loss to be told', () => told.resets.length === 2);
    expect(told.object).toEqual({});
    await store.transact(put('new', '1'));
    // In the place of a revision that was there before: no less a loss.
    const other = opened();
    await waitUntil('it', () => told.known.has('new'));
    expect(await other.list('')).toEqual(await store.list(''));
  });

  it('says when it cannot be made', () => {
    writeFileSync(directory, 'a file');
    expect(() => FileStore.open(directory)).toThrow(expect.objectContaining({ code: 'unwritable' }));
  });

  describe('leases', () => {
    it('of a killed process end, in not much more than their time', async () => {
      const store = opened();
      const told = await followed(store, 'leader');
      const holder = new Client(`file:${directory}`, 'hold', 'leader', '1');
      await holder.says('holding');
      await waitUntil('its key', () => told.known.has('leader'));
      holder.child.kill('SIGKILL');
      await waitUntil('its key to go', () => !told.known.has('leader'), 5_000);
      expect(inside('leases')).toEqual([]);
    });

    it('of a stopped process end, and it finds out before it can write with them', async () => {
      const store = opened();
      const told = await followed(store, 'leader');
      const holder = new Client(`file:${directory}`, 'hold', 'leader', '1');
      await holder.says('holding');
      await waitUntil('its key', () => told.known.has('leader'));
      holder.child.kill('SIGSTOP');
      await waitUntil('its key to go', () => !told.known.has('leader'), 5_000);
      holder.child.kill('SIGCONT');
      await holder.says('lost');
      await holder.says('lease-lost');
      expect(await store.get('leader')).toBe(null);
    });

    it('are kept through a long stop when nobody wanted to end them', async () => {
      const holder = new Client(`file:${directory}`, 'hold', 'leader', '1');
      await holder.says('holding');
      holder.child.kill('SIGSTOP');
      const until = performance.now() + 1_300;
      await waitUntil('its time to pass', () => performance.now() > until);
      holder.child.kill('SIGCONT');
      const later = performance.now() + 1_300;
      await waitUntil('its time to pass once more', () => performance.now() > later);
      expect(await opened().get('leader')).not.toBe(null);
    });
  });
});

describePrivileged('the file store on a disk that gets full', ['root', 'namespaces'], () => {
  it('says so, loses nothing, keeps its leases, and goes on when there is room; and likewise when read-only', () => {
    const seen = runEnclosed(new URL('fixtures/full-disk.mjs', import.meta.url));
    expect(seen).toEqual({
      whenFull: 'unwritable: the store /run/small/store cannot be written: there is no space left: make room',
      left: 0,
      readable: true,
      leaseValid: true,
      afterwards: 'done',
      whenReadOnly:
        'unwritable: the store /run/small/store cannot be written: its file system is read-only: mount it writable',
      readableReadOnly: true,
      writableAgain: 'done',
      toldAway: false,
    });
  });
});
