import { describe, expect, it } from 'vitest';
import { Keys } from '../../src/store/records.js';
import { parseIpv4 } from '../../src/table/address.js';
import { dipOf, putServer, SERVERS, serversIn, statusIn, tableIn } from './support.js';
import { useWorld, type World } from './world.js';

const world = useWorld();

/** Buckets in which servers get new flows, and only keep old ones. */
async function hops({ store }: World): Promise<Record<string, [number, number]>> {
  const table = await tableIn(store);
  const counts = new Map(table?.servers().map(({ dip, first, second }) => [dip, [first, second]]));
  return Object.fromEntries(
    [...SERVERS, 's5'].map((name) => {
      const [first = 0, second = 0] = counts.get(parseIpv4(dipOf(name))) ?? [];
      return [name, [first, second]];
    }),
  );
}

const QUICK = '{ buckets: 1024, max_change_per_minute: 1 }';

describe('a conductor with a new store', () => {
  it('writes the servers of cluster.yaml and makes first tables with equal shares', async () => {
    await world().startNodes();
    await world().start('a');
    await world().pass(1);
    expect(Object.keys(await serversIn(world().store))).toEqual(SERVERS);
    expect((await tableIn(world().store))?.version).toBe(1);
    expect(await hops(world())).toMatchObject({ s1: [256, 0], s2: [256, 0], s3: [256, 0], s4: [256, 0] });
  });

  it('waits for nodes that may hold a table before it makes one', async () => {
    await world().start('a', { conductor: '{ node_absence_seconds: 3 }' });
    await world().pass(2);
    expect(await tableIn(world().store)).toBeNull();
    await world().pass(2);
    expect((await tableIn(world().store))?.version).toBe(1);
  });
});

describe('a conductor that leads', () => {
  it('drains a server as soon as its record says so, and tells so', async () => {
    await world().startNodes();
    await world().start('a', { balance: QUICK });
    await world().pass(1);
    const revision = await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(1);
    expect((await hops(world())).s2).toEqual([0, 256]);
    const status = await statusIn(world().store);
    expect(status?.followed).toBeGreaterThanOrEqual(revision);
    expect(status?.servers.s2.standing).toBe('drained');
    expect(status?.trafficsets.web.moves.at(-1)?.text.join()).toContain('drain: 256 buckets');
    expect(status?.trafficsets.web.moves.at(-1)?.byRule).toEqual([
      { rule: 'drain', kind: 'handover', buckets: 256 },
    ]);
  });

  it('gives a new server its share once its node is healthy, and not before', async () => {
    await world().startNodes();
    await world().start('a', { balance: QUICK });
    await world().pass(1);
    await putServer(world().store, 's5');
    await world().pass(5);
    expect((await hops(world())).s5).toEqual([0, 0]);
    expect((await statusIn(world().store))?.servers.s5).toMatchObject({ standing: 'down' });
    await world().startNodes(['s5']);
    await world().pass(4);
    expect((await hops(world())).s5[0]).toBeCloseTo(1024 / 5, -1);
  });

  it('clears a removed server out of both slots', async () => {
    await world().startNodes();
    await world().start('a', { balance: QUICK });
    await world().pass(1);
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(1);
    await world().store.transact({ deletes: [Keys.server('s2')] });
    await world().pass(1);
    expect((await hops(world())).s2).toEqual([0, 0]);
  });

  it('takes new flows from a node that is gone for long enough, and from none that only blinks', async () => {
    await world().startNodes();
    await world().start('a', { conductor: '{ node_absence_seconds: 3, settle_seconds: 2 }' });
    await world().pass(1);
    const s3 = world().nodes.get('s3');
    world().nodes.delete('s3');
    await s3?.die();
    await world().pass(2);
    await s3?.report();
    await world().pass(4);
    expect((await tableIn(world().store))?.version).toBe(1);
    await s3?.die();
    await world().pass(7);
    expect((await hops(world())).s3).toEqual([0, 256]);
  });

  it('changes nothing when most nodes are gone at once', async () => {
    await world().startNodes();
    const { log } = await world().start('a');
    await world().pass(1);
    for (const name of ['s1', 's2', 's3']) {
      await world().nodes.get(name)?.die();
      world().nodes.delete(name);
    }
    await world().pass(20);
    expect((await tableIn(world().store))?.version).toBe(1);
    expect((await statusIn(world().store))?.wideProblem).toContain('a problem of the data center');
    expect(log.count('a problem of the data center')).toBe(1);
  });

  it('keeps the last table when every server is removed', async () => {
    await world().startNodes();
    const { log } = await world().start('a');
    await world().pass(1);
    await world().store.transact({ deletes: SERVERS.map(Keys.server) });
    await world().pass(5);
    expect((await tableIn(world().store))?.version).toBe(1);
    expect(log.has('the store has no servers: the last table stays')).toBe(true);
    expect(await serversIn(world().store)).toEqual({});
  });

  it('publishes nothing while a record of a server cannot be read and is not known', async () => {
    await world().startNodes();
    await world().start('a');
    await world().pass(1);
    await world().store.transact({ puts: [{ key: Keys.server('s9'), value: Buffer.from('{"dip":') }] });
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(2);
    expect((await tableIn(world().store))?.version).toBe(1);
    expect((await statusIn(world().store))?.trafficsets.web.waiting.join()).toContain('servers/s9');
    await world().store.transact({ deletes: [Keys.server('s9')] });
    await world().pass(2);
    expect((await hops(world())).s2).toEqual([0, 256]);
  });

  it('goes on with what it knew of a server whose record was damaged', async () => {
    await world().startNodes();
    const { log } = await world().start('a', { balance: QUICK });
    await world().pass(1);
    await world().store.transact({ puts: [{ key: Keys.server('s1'), value: Buffer.from('junk') }] });
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(2);
    const after = await hops(world());
    expect(after.s2).toEqual([0, 256]);
    expect(after.s1[0]).toBeGreaterThan(300);
    expect(log.has('servers/s1 cannot be read: what was known of it stays')).toBe(true);
  });

  it('publishes again above a node that holds a version nobody published', async () => {
    await world().startNodes();
    await world().start('a');
    await world().pass(1);
    const before = await tableIn(world().store);
    const stray = world().nodes.get('s1');
    if (stray !== undefined) stray.tables = { web: 57 };
    await world().pass(2);
    const after = await tableIn(world().store);
    expect(after?.version).toBe(58);
    expect(after?.slots).toEqual(before?.slots);
  });
});

describe('balancing', () => {
  const BALANCED =
    '{ buckets: 1024, max_change_per_minute: 1, min_second_hop_age_seconds: 0, interval_seconds: 2 }';

  it('moves new flows from a loaded server to the others by what nodes report', async () => {
    await world().startNodes();
    await world().start('a', { balance: BALANCED });
    await world().pass(1);
    for (const node of world().nodes.values()) node.cpu = node.name === 's1' ? 0.8 : 0.4;
    await world().pass(6);
    expect((await hops(world())).s1[0]).toBeLessThan(256);
    const status = await statusIn(world().store);
    expect(status?.servers.s1.load.web).toBeCloseTo(0.8 / 0.5, 1);
  });

  it('moves nothing for reports that stand still', async () => {
    await world().startNodes();
    await world().start('a', { balance: BALANCED });
    await world().pass(1);
    for (const node of world().nodes.values()) {
      node.cpu = node.name === 's1' ? 0.9 : 0.1;
      // Its key stays, and its sequence, as if the process hung while its lease was kept up.
      await node.report();
    }
    world().nodes.clear();
    const before = (await tableIn(world().store))?.version;
    await world().pass(4);
    const moved = (await tableIn(world().store))?.version ?? 0;
    await world().pass(30);
    expect(before).toBe(1);
    // What was fresh may have been used twice; nothing after that.
    expect((await tableIn(world().store))?.version).toBe(moved);
  });
});
