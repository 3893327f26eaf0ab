import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Conductor } from '../../src/conductor/conductor.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { describePrivileged } from '../privileged.js';
import { TestEtcd } from '../store/etcd.js';
import { FollowingNodes } from './following-nodes.js';
import { clusterOf, LogLines, putServer, SERVERS, serversIn, startConductor } from './support.js';

/** Stops that are shorter and longer than this. */
const LEASE_SECONDS = 2;

describePrivileged('a conductor over a real etcd', ['etcd'], () => {
  let etcd: TestEtcd;
  let store: Store;
  let nodes: FollowingNodes;
  let conductor: Conductor;
  let log: LogLines;

  beforeEach(async () => {
    etcd = await TestEtcd.start();
    const address = etcd.address('test');
    store = await openStore(address);
    nodes = new FollowingNodes(await openStore(address));
    log = new LogLines();
    const cluster = clusterOf({
      conductor: `{ lease_seconds: ${LEASE_SECONDS}, node_absence_seconds: 1, settle_seconds: 0 }`,
      balance: '{ buckets: 1024, max_change_per_minute: 1, load: none }',
    });
    conductor = await startConductor(await openStore(address), cluster, { log: log.log });
    await waitUntil('a first table', () => nodes.version === 1);
  });
  afterEach(async () => {
    await Promise.all([conductor.stop(), nodes.end(), store.close()]);
    await etcd.remove();
    // Whatever happened to the store.
    expect(nodes.wrong).toEqual([]);
  });

  /** Drains a server; resolves when nodes have the table that follows from it. */
  async function drained(name: string): Promise<void> {
    const before = nodes.version;
    const written = async () =>
      putServer(store, name, { state: 'drained' }).then(
        () => true,
        () => false,
      );
    await waitUntil('the store to take a change', written);
    await waitUntil('a table that follows it', () => nodes.version > before);
  }

  const isAway = () => conductor.health().detail.store === 'away';

  it('takes up the same table when etcd was stopped and is started again', async () => {
    await etcd.stop();
    await waitUntil('the conductor to notice', () => isAway() && !conductor.leads);
    expect(conductor.health().ok).toBe(false);
    expect(log.has(`the store is away, nodes keep what they have: ${store.description}`)).toBe(true);
    expect(log.has('it does not answer: see that it runs and can be reached')).toBe(true);
    await etcd.start();
    await waitUntil('the conductor to lead again', () => conductor.leads && conductor.health().ok);
    expect(log.has('the store is there again')).toBe(true);
    await drained('s2');
    // One step: nothing was published in between.
    expect(nodes.versions).toEqual([1, 2]);
  });

  it('goes on in the same term when etcd stands still for less than the lease', async () => {
    etcd.kill('SIGSTOP');
    const stopped = performance.now();
    // Written while it stands still: it is done when it goes on.
    const draining = putServer(store, 's2', { state: 'drained' });
    await waitUntil('a third of the lease', () => performance.now() - stopped > 1000 * (LEASE_SECONDS / 3));
    etcd.kill('SIGCONT');
    await draining;
    await waitUntil('a table that follows', () => nodes.version === 2);
    expect(log.count('a leads')).toBe(1);
    expect(log.count('does not lead any more')).toBe(0);
  });

  it('steps down when etcd stands still for longer than the lease, and takes up the same table', async () => {
    etcd.kill('SIGSTOP');
    await waitUntil('the conductor to step down', () => !conductor.leads);
    expect(log.has('does not lead any more: its lease ran out')).toBe(true);
    await waitUntil('the conductor to say why', () => isAway());
    etcd.kill('SIGCONT');
    await waitUntil('the conductor to lead again', () => conductor.leads && conductor.health().ok);
    await drained('s2');
    expect(nodes.versions).toEqual([1, 2]);
  });

  it('gives an etcd that lost its data the same servers and rows, above every version held', async () => {
    await drained('s2');
    const before = nodes.table;
    await etcd.stop();
    etcd.loseData();
    await etcd.start();
    await waitUntil('a table above the one held', () => nodes.version > (before?.version ?? 0));
    expect(nodes.table?.slots).toEqual(before?.slots);
    expect(nodes.table?.hashKey).toEqual(before?.hashKey);
    expect(log.lines.join('\n')).toContain(
      'the store has lost its data: it is given back what is remembered here',
    );
    const servers = await serversIn(store);
    expect(Object.keys(servers)).toEqual(SERVERS);
    expect(servers.s2).toMatchObject({ state: 'drained' });
    await drained('s3');
    expect(nodes.versions).toEqual([1, 2, 3, 4]);
  });
});
