import { describe, expect, it } from 'vitest';
import { clusterOf, putServer, statusIn, tableIn } from './support.js';
import { useWorld } from './world.js';

const world = useWorld();

const MAIL =
  '  - { name: mail, kind: tcp, vips: [203.0.113.0/24], balance: { buckets: 1024, max_change_per_minute: 1 } }';

describe('a conductor that reads its configuration again', () => {
  it('makes a table for a trafficset that is new, and leaves the others alone', async () => {
    await world().startNodes();
    const { conductor } = await world().start('a');
    await world().pass(1);
    void conductor.reload(clusterOf({ more: MAIL }));
    await world().pass(2);
    expect((await tableIn(world().store, 'mail'))?.version).toBe(1);
    expect((await tableIn(world().store, 'web'))?.version).toBe(1);
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(2);
    expect((await tableIn(world().store, 'mail'))?.version).toBe(2);
    expect((await tableIn(world().store, 'web'))?.version).toBe(2);
  });

  it('remembers the table of a trafficset that is new, for a store that loses its data', async () => {
    await world().startNodes();
    const { conductor } = await world().start('a');
    await world().pass(1);
    void conductor.reload(clusterOf({ more: MAIL }));
    await world().pass(2);
    const before = await tableIn(world().store, 'mail');
    world().server.loseData();
    await world().pass(6);
    const after = await tableIn(world().store, 'mail');
    expect(after?.slots).toEqual(before?.slots);
    // Rows of a new first table would be the same, and its key another.
    expect(after?.hashKey).toEqual(before?.hashKey);
    expect(after?.version).toBeGreaterThan(before?.version ?? 0);
  });

  it('lets a standby know of a new trafficset, too', async () => {
    await world().startNodes();
    const a = await world().start('a');
    const b = await world().start('b');
    await world().pass(1);
    for (const { conductor } of [a, b]) void conductor.reload(clusterOf({ more: MAIL }));
    await world().pass(2);
    const before = await tableIn(world().store, 'mail');
    // Before the standby can lead with it.
    a.store.cutOff('gone');
    world().server.loseData();
    await world().pass(6);
    expect(b.conductor.leads).toBe(true);
    expect((await tableIn(world().store, 'mail'))?.hashKey).toEqual(before?.hashKey);
  });

  it('leaves the table of a trafficset that is gone as it is', async () => {
    await world().startNodes();
    const { conductor } = await world().start('a', { more: MAIL });
    await world().pass(2);
    void conductor.reload(clusterOf());
    await world().pass(1);
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(2);
    expect((await tableIn(world().store, 'mail'))?.version).toBe(1);
    expect((await tableIn(world().store, 'web'))?.version).toBe(2);
    expect(Object.keys((await statusIn(world().store))?.trafficsets ?? {})).toEqual(['web']);
  });

  it('keeps the number of buckets that a table has, and says how to get another', async () => {
    await world().startNodes();
    const { conductor, log } = await world().start('a');
    await world().pass(1);
    expect(log.has('keeps its')).toBe(false);
    void conductor.reload(clusterOf({ balance: '{ buckets: 2048 }' }));
    await world().pass(2);
    expect((await tableIn(world().store))?.bucketCount).toBe(1024);
    expect(log.has('the table of web keeps its 1024 buckets')).toBe(true);
    expect(log.has('--new-table web')).toBe(true);
  });

  it('changes nothing where a restart is needed, and names the settings', async () => {
    await world().startNodes();
    const { conductor, log } = await world().start('a');
    await world().pass(1);
    void conductor.reload(
      clusterOf({ more: MAIL, store: 'file:/elsewhere', conductor: '{ lease_seconds: 9 }' }),
    );
    await world().pass(2);
    expect(log.has('"fields":["store","conductor.lease_seconds"]')).toBe(true);
    expect(log.has('these settings need a restart; nothing was changed')).toBe(true);
    expect(await tableIn(world().store, 'mail')).toBeNull();
  });
});
