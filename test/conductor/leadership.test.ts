import { describe, expect, it, vi } from 'vitest';
import { Keys } from '../../src/store/records.js';
import { readPublished } from '../../src/store/tables.js';
import { putServer, statusIn, tableIn } from './support.js';
import { useWorld } from './world.js';

const world = useWorld();

async function leaderIn(): Promise<string | null> {
  const entry = await world().store.get(Keys.leader);
  return entry === null ? null : JSON.parse(Buffer.from(entry.value).toString()).name;
}

describe('leadership', () => {
  it('is with one of two conductors, and the other changes nothing', async () => {
    await world().startNodes();
    const a = await world().start('a');
    const b = await world().start('b');
    await world().pass(2);
    expect([a.conductor.leads, b.conductor.leads]).toEqual([true, false]);
    expect(b.log.has('a leads; this one stands by')).toBe(true);
    const { entries } = await world().store.list(Keys.conductors);
    expect(entries.map(({ key }) => key)).toEqual(['conductors/a', 'conductors/b']);
  });

  it('goes to the standby at once when the leader stops, and no bucket changes', async () => {
    await world().startNodes();
    await world().start('a');
    const b = await world().start('b');
    await world().pass(2);
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(2);
    const before = await readPublished(world().store, 'web');
    const stopping = world().stop('a');
    await vi.advanceTimersByTimeAsync(100);
    expect(b.conductor.leads).toBe(true);
    await stopping;
    await world().pass(10);
    const after = await readPublished(world().store, 'web');
    expect(after?.headRevision).toBe(before?.headRevision);
    // Its status goes on with the moves of the leader before.
    const status = await statusIn(world().store);
    expect(status?.conductor).toBe('b');
    expect(status?.trafficsets.web.moves.at(-1)?.text.join()).toContain('drain');
  });

  it('goes to the standby within the lease when the leader vanishes', async () => {
    await world().startNodes();
    const a = await world().start('a', { conductor: '{ lease_seconds: 2 }' });
    const b = await world().start('b', { conductor: '{ lease_seconds: 2 }' });
    await world().pass(2);
    const before = await tableIn(world().store);
    // As if the process were gone: nothing of it reaches the store any more.
    a.store.cutOff('gone');
    await vi.advanceTimersByTimeAsync(2900);
    expect(await leaderIn()).toBe('b');
    expect(b.conductor.leads).toBe(true);
    await world().pass(5);
    expect((await tableIn(world().store))?.version).toBe(before?.version);
    a.store.reconnect();
    await world().pass(3);
    expect([a.conductor.leads, b.conductor.leads]).toEqual([false, true]);
  });

  it('takes up what the leader had left undone', async () => {
    await world().startNodes();
    const a = await world().start('a');
    await world().start('b');
    await world().pass(2);
    a.store.cutOff('gone');
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(4);
    expect((await statusIn(world().store))?.servers.s2.standing).toBe('drained');
    expect((await tableIn(world().store))?.version).toBe(2);
  });

  it('is taken up again by whoever had it when the store comes back, and no bucket changes', async () => {
    await world().startNodes();
    const a = await world().start('a');
    await world().pass(2);
    const before = await tableIn(world().store);
    world().server.stop('out of order');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(a.conductor.leads).toBe(false);
    expect(a.conductor.health().ok).toBe(false);
    world().server.start();
    await world().pass(8);
    expect(a.conductor.leads).toBe(true);
    expect((await tableIn(world().store))?.version).toBe(before?.version);
  });

  it('tells when another conductor has the same name', async () => {
    await world().start('a');
    const other = await world().start('a');
    await world().pass(1);
    expect(other.log.has('a conductor named a is there already')).toBe(true);
  });
});
