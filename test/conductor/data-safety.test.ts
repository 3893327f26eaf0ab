import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { beginningOf } from '../../src/conductor/recovery.js';
import { Keys } from '../../src/store/records.js';
import { TableKeys } from '../../src/store/table-head.js';
import { editVips, readVips } from '../../src/store/vips.js';
import { putServer, serversIn, tableIn } from './support.js';
import { useWorld } from './world.js';

const world = useWorld();

describe('the table that a leader begins with', () => {
  const from = (stored: number | null | 'damaged', remembered: number | null, held: number) =>
    beginningOf({ trafficset: 'web', stored, remembered, held }, '/copy/web.table');

  it.each([
    ['the store has it', 7, 7, 7, 'stored', undefined],
    ['nodes lag behind the store', 7, 5, 3, 'stored', undefined],
    ['the store went back, and it is remembered', 4, 7, 7, 'give-back', 8],
    ['the store went back, and only nodes know', 4, null, 7, 'raise', 8],
    ['the store lost it, and it is remembered', null, 7, 7, 'give-back', 8],
    ['the store lost it, and a node is ahead of what is remembered', null, 7, 9, 'give-back', 10],
    ['the store lost it, and only nodes know', null, null, 7, 'refuse', undefined],
    ['it is damaged', 'damaged', 7, 7, 'refuse', undefined],
    ['there never was one', null, null, -1, 'make', undefined],
  ] as const)('when %s', (_when, stored, remembered, held, what, version) => {
    const beginning = from(stored, remembered, held);
    expect(beginning.what).toBe(what);
    expect('version' in beginning ? beginning.version : undefined).toBe(version);
  });
});

describe('a store that lost its data', () => {
  it('is given back servers, VIPs and rows, above every version that a node holds', async () => {
    await world().startNodes();
    const { log } = await world().start('a', { balance: '{ buckets: 1024, max_change_per_minute: 1 }' });
    await world().pass(1);
    await editVips(world().store, 'web', { add: ['198.51.100.0/24'] });
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(3);
    const before = await tableIn(world().store);
    const servers = await serversIn(world().store);
    world().server.loseData();
    await world().pass(6);
    const after = await tableIn(world().store);
    expect(after?.version).toBe((before?.version ?? 0) + 1);
    expect(after?.slots).toEqual(before?.slots);
    expect(after?.hashKey).toEqual(before?.hashKey);
    expect(await serversIn(world().store)).toEqual(servers);
    expect((await readVips(world().store, 'web')).ranges).toEqual(['198.51.100.0/24']);
    expect(log.has('the store has lost its data: it is given back')).toBe(true);
  });

  it('is given back its servers by a leader that has not been told of the loss yet', async () => {
    await world().startNodes();
    const { log, deafen } = await world().start('a');
    await world().pass(3);
    const servers = await serversIn(world().store);
    deafen(Keys.servers);
    deafen(TableKeys.head('web'));
    world().server.loseData();
    await world().pass(6);
    expect(log.has('the store has lost its data: it is given back')).toBe(true);
    expect(await serversIn(world().store)).toEqual(servers);
  });

  it('is given back the servers that its last table was made for, however fresh that is', async () => {
    await world().startNodes();
    await world().start('a');
    await world().pass(3);
    await putServer(world().store, 's2', { state: 'drained' });
    const published = async () => (await tableIn(world().store))?.version === 2;
    for (let tries = 0; tries < 100 && !(await published()); tries++) await world().pass(0.01);
    expect(await published()).toBe(true);
    const servers = await serversIn(world().store);
    world().server.loseData();
    await world().pass(6);
    expect(await serversIn(world().store)).toEqual(servers);
  });

  it('is given back by a standby, too', async () => {
    await world().startNodes();
    await world().start('a');
    const b = await world().start('b');
    await world().pass(3);
    const before = await tableIn(world().store);
    await world().stop('a');
    world().server.loseData();
    await world().pass(6);
    expect(b.conductor.leads).toBe(true);
    expect((await tableIn(world().store))?.slots).toEqual(before?.slots);
  });

  it('is given back by a new process from its copy of the state', async () => {
    const state = mkdtempSync(join(tmpdir(), 'twohop-state-'));
    try {
      const text = { conductor: `{ state: '${state}' }` };
      await world().startNodes();
      await world().start('a', text);
      await world().pass(2);
      const before = await tableIn(world().store);
      await world().stop('a');
      world().server.loseData();
      await world().start('a', text);
      await world().pass(6);
      const after = await tableIn(world().store);
      expect(after?.slots).toEqual(before?.slots);
      expect(after?.version).toBeGreaterThan(before?.version ?? 0);
    } finally {
      rmSync(state, { recursive: true });
    }
  });

  it('stays without a table when only nodes know one, until a person says what to do', async () => {
    await world().startNodes();
    for (const node of world().nodes.values()) {
      node.tables = { web: 57 };
      await node.report();
    }
    const { conductor, log } = await world().start('a');
    await world().pass(10);
    expect(await tableIn(world().store)).toBeNull();
    expect(await serversIn(world().store)).toEqual({});
    expect(conductor.health().ok).toBe(false);
    expect(log.count('nodes hold version 57 of web')).toBe(1);
    await world().stop('a');
    await world().start('b', {}, { newTables: ['web'] });
    await world().pass(5);
    expect((await tableIn(world().store))?.version).toBe(58);
  });
});

describe('a table in the store that cannot be read', () => {
  it('is not overwritten, and given back once it is deleted', async () => {
    await world().startNodes();
    await world().start('a');
    const b = await world().start('b');
    await world().pass(3);
    const before = await tableIn(world().store);
    const junk = Buffer.from('{"format":1');
    await world().store.transact({ puts: [{ key: TableKeys.head('web'), value: junk }] });
    await world().stop('a');
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(4);
    expect(Buffer.from((await world().store.get(TableKeys.head('web')))?.value ?? [])).toEqual(junk);
    expect(b.log.has('is damaged: nothing is published')).toBe(true);
    await world().store.transact({ deletes: [TableKeys.head('web')] });
    await world().pass(4);
    expect((await tableIn(world().store))?.version).toBeGreaterThan(before?.version ?? 0);
  });
});

describe('a leader whose time is over', () => {
  it('is refused by the store while it still believes that it leads', async () => {
    await world().startNodes();
    const a = await world().start('a');
    await world().pass(2);
    const before = await tableIn(world().store);
    // Another makes the key, and neither the news nor the end of its lease have reached a.
    a.deafen(Keys.leader);
    await world().store.transact({ deletes: [Keys.leader] });
    await world().store.transact({
      puts: [{ key: Keys.leader, value: Buffer.from('{"name":"z","since":""}') }],
    });
    expect(a.conductor.leads).toBe(true);
    await putServer(world().store, 's2', { state: 'drained' });
    await world().pass(3);
    expect((await tableIn(world().store))?.version).toBe(before?.version);
    expect(a.conductor.leads).toBe(false);
    expect(a.log.has('the store refused its write')).toBe(true);
  });
});
