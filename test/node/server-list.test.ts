import { describe, expect, it, onTestFinished } from 'vitest';
import { dipFromStore } from '../../src/node/own-dip.js';
import { ServerList } from '../../src/node/server-list.js';
import { StoreContact } from '../../src/node/store-contact.js';
import { MemoryServer } from '../../src/store/memory.js';
import { encodeRecord, Keys, type ServerRecord } from '../../src/store/records.js';
import { waitUntil } from '../../src/testbed/wait.js';

const server = (dip: string, state: ServerRecord['state'] = 'active') =>
  encodeRecord({ dip, weight: 1, pool: 'default', state } satisfies ServerRecord);

function parts() {
  const shared = new MemoryServer();
  const store = shared.open();
  const list = new ServerList(store, new StoreContact(() => {}), () => {});
  onTestFinished(async () => {
    list.close();
    await store.close();
  });
  list.start();
  const put = (name: string, value: Uint8Array) =>
    store.transact({ puts: [{ key: Keys.server(name), value }] });
  const until = (name: string, wanted: string) =>
    waitUntil(`${name} to be ${wanted}`, () => list.wanted(name) === wanted);
  return { shared, store, list, put, until };
}

describe('the servers that the store has', () => {
  it('are what the operator wants them to be', async () => {
    const { store, list, put, until } = parts();
    expect(list.wanted('s1')).toBe('unknown');
    await put('s1', server('10.0.1.1'));
    await until('s1', 'active');
    await put('s1', server('10.0.1.1', 'drained'));
    await until('s1', 'drained');
    await store.transact({ deletes: [Keys.server('s1')] });
    await until('s1', 'removed');
  });

  it('stay as they were when the store has lost its data', async () => {
    const { shared, list, put, until } = parts();
    await put('s1', server('10.0.1.1', 'drained'));
    await until('s1', 'drained');
    shared.loseData();
    expect(list.wanted('s1')).toBe('drained');
  });

  it('do not have a server that only others are beside', async () => {
    const { put, until } = parts();
    await put('s2', server('10.0.2.1'));
    await until('s1', 'removed');
  });

  it('are joined with those of the configuration', async () => {
    const { list, put, until } = parts();
    await put('s1', server('10.0.9.1'));
    await put('s3', server('10.0.3.1'));
    await put('s4', Buffer.from('no record'));
    await until('s3', 'active');
    const configured = [
      { name: 's1', dip: 0x0a000101, weight: 1, pool: 'default' },
      { name: 's2', dip: 0x0a000201, weight: 1, pool: 'default' },
    ];
    expect(list.joinedWith(configured).map(({ name, dip }) => [name, dip])).toEqual([
      ['s1', 0x0a000901],
      ['s2', 0x0a000201],
      ['s3', 0x0a000301],
    ]);
  });

  it('tell a server that was added later its DIP', async () => {
    const { shared, store, put } = parts();
    await put('s3', server('10.0.3.1'));
    expect(await dipFromStore(store, 's3')).toBe(0x0a000301);
    expect(await dipFromStore(store, 's4')).toBeNull();
    shared.stop('pulled');
    await expect(dipFromStore(store, 's3')).rejects.toThrow(/s3 is not in the configuration.*--dip.*pulled/);
  });
});
