import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { parseStoreAddress } from '../../src/store/address.js';
import { EtcdStore } from '../../src/store/etcd.js';
import { openStore } from '../../src/store/open.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { describePrivileged } from '../privileged.js';
import { Client } from './clients.js';
import { bytes, followed, put, storeContract, text } from './contract.js';
import { CuttableProxy } from './cuttable-proxy.js';
import { TestEtcd } from './etcd.js';

describePrivileged('the store in a real etcd', ['etcd', 'etcdctl'], () => {
  let etcd: TestEtcd;
  let tests = 0;
  let prefix = '';
  beforeAll(async () => {
    etcd = await TestEtcd.start();
  });
  afterAll(() => etcd.remove());
  beforeEach(() => {
    prefix = `test/${++tests}`;
  });

  const open = () => openStore(etcd.address(prefix));
  const opened = async () => {
    const store = await open();
    onTestFinished(() => store.close());
    return store;
  };
  const etcdctl = (...args: string[]) => {
    const run = spawnSync('etcdctl', ['--endpoints', etcd.url, ...args], {
      encoding: 'utf8',
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    if (run.status !== 0) throw new Error(run.stderr);
    return run.stdout;
  };
  // What is right is right on a busy machine too.
  storeContract('the etcd store', async () => {
    const address = parseStoreAddress(etcd.address(prefix));
    if (address.type !== 'etcd') throw new Error('no etcd');
    return new EtcdStore(address, { timeoutMs: 20_000 });
  });

  it('keeps stores of different prefixes apart', async () => {
    const store = await opened();
    const neighbour = await openStore(`${etcd.address(prefix)}0`);
    onTestFinished(() => neighbour.close());
    const told = await followed(store, '');
    await neighbour.transact(put('a', 'not ours'));
    await store.transact(put('b', 'ours'));
    await waitUntil('ours', () => told.known.has('b'));
    expect(told.object).toEqual({ b: 'ours' });
    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['b']);
    expect(etcdctl('get', '--prefix', '--keys-only', `${prefix}/`)).toContain(`${prefix}/b`);
  });

  it('loses no increment of several processes', async () => {
    const clients = [1, 2, 3].map(() => new Client(etcd.address(prefix), 'count', 'n', '40'));
    for (const client of clients) await client.ended();
    expect(text((await (await opened()).get('n'))?.value)).toBe('120');
  });

  it('ends the lease of a killed process in less than three seconds', async () => {
    const told = await followed(await opened(), 'leader');
    const holder = new Client(etcd.address(prefix), 'hold', 'leader', '2');
    await holder.says('holding');
    await waitUntil('its key', () => told.known.has('leader'));
    holder.child.kill('SIGKILL');
    await waitUntil('its key to go', () => !told.known.has('leader'), 5_000);
  });

  it('lets a stopped process find out that its lease has ended, before it can write with it', async () => {
    const store = await opened();
    const told = await followed(store, 'leader');
    const holder = new Client(etcd.address(prefix), 'hold', 'leader', '2');
    await holder.says('holding');
    await waitUntil('its key', () => told.known.has('leader'));
    holder.child.kill('SIGSTOP');
    await waitUntil('its key to go', () => !told.known.has('leader'), 10_000);
    holder.child.kill('SIGCONT');
    await holder.says('lost');
    await holder.says('lease-lost');
    expect(await store.get('leader')).toBe(null);
  });

  it('is away while etcd is stopped, says what may have been done, and misses nothing after', async () => {
    const [store, other] = [await opened(), await opened()];
    const told = await followed(store, '');
    await store.transact(put('a', '1'));
    await waitUntil('the change', () => told.known.has('a'));
    etcd.kill('SIGSTOP');
    const attempts = Promise.allSettled([store.get('a'), store.transact(put('a', '2'))]);
    await waitUntil('the follower to know', () => told.availability.includes(false));
    const [read, written] = await attempts;
    expect(read).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    expect(written).toMatchObject({ status: 'rejected', reason: { code: 'uncertain' } });
    expect(told.object).toEqual({ a: '1' });
    etcd.kill('SIGCONT');
    await waitUntil('the follower to know', () => told.availability.at(-1) === true);
    await other.transact(put('b', '1'));
    await waitUntil('the change', () => told.known.has('b'));
    expect(told.resets.length).toBe(1);
  });

  it('misses nothing when etcd is killed and started again, and keeps its leases', async () => {
    const [store, other] = [await opened(), await opened()];
    const told = await followed(store, '');
    const lease = await store.lease(5);
    await store.transact({ puts: [{ key: 'leader', value: bytes('me'), lease }] });
    for (let at = 0; at < 5; at++) await other.transact(put('n', `${at}`));
    await etcd.stop();
    await waitUntil('the follower to know', () => told.availability.includes(false));
    await expect(store.transact(put('x', '1'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('does not answer: see that it runs'),
    });
    await etcd.start();
    await waitUntil('the follower to know', () => told.availability.at(-1) === true);
    await other.transact(put('n', 'after'));
    await waitUntil('the change', () => told.known.get('n') === 'after');
    expect(told.resets.length).toBe(1);
    expect(told.known.get('leader')).toBe('me');
    await waitUntil('the lease to be good again', () => lease.valid);
    expect(await other.get('leader')).not.toBe(null);
  });

  it('tells all there is to one who was cut off while what he missed was compacted', async () => {
    const other = await opened();
    await other.transact(put('gone', '1'));
    const proxy = await CuttableProxy.to(etcd.url);
    onTestFinished(() => proxy.close());
    const store = await openStore(`etcd:${proxy.url}/${prefix}`);
    onTestFinished(() => store.close());
    const told = await followed(store, '');
    proxy.cut();
    await waitUntil('the follower to know', () => told.availability.includes(false));
    for (let at = 0; at < 20; at++) await other.transact(put('k', `${at}`));
    const { revision } = await other.transact({ deletes: ['gone'] });
    etcdctl('compact', `${revision}`);
    proxy.restore();
    await waitUntil('a second reset', () => told.resets.length === 2);
    expect(told.object).toEqual({ k: '19' });
    await other.transact(put('k', 'next'));
    await waitUntil('the change', () => told.known.get('k') === 'next');
  });

  it.each([
    ['with fewer changes than before', 0],
    ['with more changes than before', 400],
  ])('notices that etcd lost its data, %s', async (_what, changes) => {
    const other = await opened();
    // It comes back to the one who follows only when all has happened.
    const proxy = await CuttableProxy.to(etcd.url);
    onTestFinished(() => proxy.close());
    const store = await openStore(`etcd:${proxy.url}/${prefix}`);
    onTestFinished(() => store.close());
    for (let at = 0; at < 10; at++) await store.transact(put(`k${at}`, 'x'));
    const before = (await store.list('')).revision;
    const told = await followed(store, '');
    const lease = await store.lease(5);
    proxy.cut();
    await etcd.stop();
    etcd.loseData();
    await etcd.start();
    for (let at = 0; at < changes; at++) await other.transact(put('new', `${at}`));
    const { revision } = await other.transact(put('new', 'last'));
    expect(revision > before).toBe(changes > 0);
    proxy.restore();
    await waitUntil('the loss to be told', () => told.resets.length > 1);
    expect(told.object).toEqual({ new: 'last' });
    await lease.lost;
    await other.transact(put('new', 'next'));
    await waitUntil('the change', () => told.known.get('new') === 'next');
  });

  it('says what to do where nobody listens', async () => {
    const store = await openStore('etcd:http://127.0.0.1:1/twohop');
    onTestFinished(() => store.close());
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.transact(put('a', '1'))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.lease(2)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('reaches the other members when one of several is not there', async () => {
    const address = etcd.address(prefix).replace('etcd:', 'etcd:http://127.0.0.1:1,');
    const store = await openStore(address);
    onTestFinished(() => store.close());
    const told = await followed(store, '');
    for (let at = 0; at < 10; at++) await store.transact(put('n', `${at}`));
    await waitUntil('the last', () => told.known.get('n') === '9');
  });
});
