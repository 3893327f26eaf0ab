import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryServer } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { editVips, followVips, readVips, restoreVips, type VipRanges } from '../../src/store/vips.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { bytes } from './contract.js';

function follower(store: Store) {
  const told: VipRanges[] = [];
  const refusals: string[] = [];
  const following = followVips(store, {
    vips: (vips) => told.push(vips),
    refused: (trafficset, reason) => refusals.push(`${trafficset} ${reason}`),
  });
  onTestFinished(() => following.close());
  return { told, refusals };
}

describe('VIP ranges in the store', () => {
  it('are added and removed, normalised and sorted, and what changes nothing is named', async () => {
    const store = new MemoryServer().open();
    const first = await editVips(store, 'web', {
      add: ['2001:DB8::/32', '192.0.2.7', '10.0.0.0/8', '192.0.2.7/32'],
    });
    expect(first).toEqual({
      version: 1,
      count: 3,
      added: ['2001:db8::/32', '192.0.2.7/32', '10.0.0.0/8'],
      removed: [],
      alreadyThere: ['192.0.2.7/32'],
      notThere: [],
    });
    expect(await editVips(store, 'web', { remove: ['192.0.2.7', '192.0.2.8'] })).toMatchObject({
      version: 2,
      removed: ['192.0.2.7/32'],
      notThere: ['192.0.2.8/32'],
    });
    expect(await readVips(store, 'web')).toEqual({
      trafficset: 'web',
      version: 2,
      ranges: ['10.0.0.0/8', '2001:db8::/32'],
    });
  });

  it('are not written when nothing changes', async () => {
    const store = new MemoryServer().open();
    await editVips(store, 'web', { add: ['10.0.0.0/8'] });
    const before = (await store.list('')).revision;
    expect(await editVips(store, 'web', { add: ['10.0.0.0/8'], remove: ['10.1.0.0/16'] })).toMatchObject({
      version: 1,
      count: 1,
    });
    expect((await store.list('')).revision).toBe(before);
  });

  it('refuse what is no range, and what is no name', async () => {
    const store = new MemoryServer().open();
    await expect(editVips(store, 'web', { add: ['10.0.0.1/8'] })).rejects.toMatchObject({
      code: 'host-bits',
    });
    await expect(editVips(store, 'a/b', { add: ['10.0.0.0/8'] })).rejects.toMatchObject({ code: 'bad-name' });
    expect((await store.list('')).entries).toEqual([]);
  });

  it('keep the edits of all who edit at the same time', async () => {
    const server = new MemoryServer();
    const edits = Array.from({ length: 20 }, (_, at) =>
      editVips(server.open(), 'web', { add: [`10.0.${at}.0/24`] }),
    );
    await Promise.all(edits);
    const store = server.open();
    expect((await readVips(store, 'web')).ranges.length).toBe(20);
    // Of the lists that lost, nothing stays: there is the newest, and the one before.
    expect((await store.list('vip-ranges/')).entries.length).toBe(2);
  });

  it('reach followers whole, a hundred thousand of them', async () => {
    const store = new MemoryServer().open();
    const { told } = follower(store);
    const add = Array.from({ length: 100_000 }, (_, at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
    await editVips(store, 'web', { add });
    await editVips(store, 'dns', { add: ['192.0.2.0/24'] });
    await waitUntil('both', () => told.length === 2);
    expect(told[0].ranges.length).toBe(100_000);
    await editVips(store, 'web', { remove: add });
    await waitUntil('the removal', () => told.length === 3);
    expect(told[2]).toEqual({ trafficset: 'web', version: 2, ranges: [] });
  });

  it('stay in force when the store loses them, until there is a higher version', async () => {
    const server = new MemoryServer();
    const store = server.open();
    const { told, refusals } = follower(store);
    await editVips(store, 'web', { add: ['10.0.0.0/8'] });
    await editVips(store, 'web', { add: ['11.0.0.0/8'] });
    const had = await readVips(store, 'web');
    await waitUntil('the second version', () => told.at(-1)?.version === 2);
    server.loseData();
    await waitUntil('the loss', () => refusals.includes('web missing'));
    await editVips(store, 'web', { add: ['12.0.0.0/8'] });
    await waitUntil('a refusal', () => refusals.includes('web older-version'));
    await editVips(store, 'web', { add: ['13.0.0.0/8'] });
    await waitUntil('a refusal', () => refusals.includes('web same-version'));
    expect(told.at(-1)).toEqual(had);
    expect(await restoreVips(store, had)).toBe(false);
    server.loseData();
    expect(await restoreVips(store, had)).toBe(true);
    await editVips(store, 'web', { add: ['14.0.0.0/8'] });
    await waitUntil('the third version', () => told.at(-1)?.version === 3);
    expect(told.at(-1)?.ranges).toEqual(['10.0.0.0/8', '11.0.0.0/8', '14.0.0.0/8']);
  });

  it('that are damaged are refused', async () => {
    const store = new MemoryServer().open();
    await editVips(store, 'web', { add: ['10.0.0.0/8'] });
    const [piece] = (await store.list('vip-ranges/')).entries;
    await store.transact({ puts: [{ key: piece.key, value: bytes('11.0.0.0/8\n') }] });
    const { told, refusals } = follower(store);
    await waitUntil('the refusal', () => refusals.includes('web damaged'));
    expect(told).toEqual([]);
    await expect(editVips(store, 'web', { add: ['12.0.0.0/8'] })).rejects.toMatchObject({ code: 'damaged' });
  });
});
