import { afterEach, describe, expect, it } from 'vitest';
import { serverCommand } from '../../src/cli/server.js';
import type { Store, Transaction } from '../../src/store/store.js';
import { parseIpv4 } from '../../src/table/address.js';
import { dipOf, serversIn, tableIn } from '../conductor/support.js';
import { ControlRoom } from './control-room.js';
import { runCommand } from './run.js';

let room: ControlRoom;

afterEach(() => room.end());

const server = (...words: string[]) => runCommand(serverCommand(), [...words, '--config', room.config]);
const asJson = async (...words: string[]) => JSON.parse((await server(...words, '--json')).out);

/** Buckets in which a server gets new flows, and in which it only keeps old ones. */
async function hops(name: string): Promise<[number, number]> {
  const table = await tableIn(room.store);
  const found = table?.servers().find(({ dip }) => dip === parseIpv4(dipOf(name)));
  return [found?.first ?? 0, found?.second ?? 0];
}

describe('twohop server with a conductor', () => {
  it('add ends when the new server has its share in a table that every node uses', async () => {
    room = await ControlRoom.open();
    await room.startNode('s5');
    const { code, out } = await server('add', 's5', '--dip', dipOf('s5'));
    expect((await hops('s5'))[0]).toBeGreaterThanOrEqual(204);
    expect(code).toBe(0);
    expect(out).toMatch(/s5 added \(10\.0\.1\.5, weight 1, pool default\)/);
    expect(out).toMatch(/web: version 1 -> 2, 20[45] of 1024 buckets changed/);
    expect(out).toMatch(/join: 20[45] buckets/);
    expect(out).toMatch(/done in [\d.]+ s: 5 nodes follow/);
  });

  it('add does not take the word for the table while that is on its way', async () => {
    // First it is known and down, and then found healthy.
    room = await ControlRoom.open({ conductor: '{ settle_seconds: 0.2 }' });
    await room.stopConductor();
    await room.startNode('s5');
    await room.startConductor(slow(room.open()));
    const change = await asJson('add', 's5', '--dip', dipOf('s5'));
    expect(change).toMatchObject({ missing: null, trafficsets: [{ trafficset: 'web' }] });
    expect(change.trafficsets[0].changed).toBeGreaterThanOrEqual(204);
    expect((await hops('s5'))[0]).toBeGreaterThanOrEqual(204);
  });

  it('add tells what it still waits for when the new server is not there', async () => {
    room = await ControlRoom.open();
    const { code, out } = await server('add', 's5', '--dip', dipOf('s5'), '--timeout', '1');
    expect(out).toMatch(/not yet: s5 gets no new flows yet: .*the change is stored, and takes effect then/);
    expect(code).toBe(0);
    expect(await hops('s5')).toEqual([0, 0]);
    await room.startNode('s5');
    const again = await asJson('set', 's5', '--weight', '2');
    expect(again.missing).toBeNull();
    expect((await hops('s5'))[0]).toBeGreaterThanOrEqual(341);
  });

  it('drain, activate and remove tell the buckets, the rule and the second hops', async () => {
    room = await ControlRoom.open();
    const drained = await server('drain', 's2');
    expect(drained.out).toMatch(/drain: 256 buckets/);
    expect(drained.out).toMatch(/established flows of 256 buckets \(25\.0 %\) take it now; 0 -> 256 buckets/);
    expect(await hops('s2')).toEqual([0, 256]);
    await server('activate', 's2');
    expect(await hops('s2')).toEqual([256, 0]);
    await server('drain', 's2');
    const removed = await asJson('remove', 's2');
    expect(removed.trafficsets[0].byRule).toContainEqual({ rule: 'gone', kind: 'clear', buckets: 256 });
    expect(await hops('s2')).toEqual([0, 0]);
    expect(Object.keys(await serversIn(room.store))).toEqual(['s1', 's3', 's4']);
  });

  it('says that nothing changed when nothing did', async () => {
    room = await ControlRoom.open();
    await server('drain', 's2');
    const { code, out } = await server('drain', 's2');
    expect(code).toBe(0);
    expect(out).toMatch(/^s2: nothing to change\ndone in \d+\.\d s: 4 nodes follow\n$/);
  });

  it('waits for what a former one no longer waited for', async () => {
    room = await ControlRoom.open();
    await room.stopConductor();
    await server('drain', 's2', '--no-wait');
    const [, repeated] = await Promise.all([room.startConductor(), server('drain', 's2')]);
    expect(repeated.code).toBe(0);
    expect(repeated.out).toMatch(/^s2: nothing to change\n.*256 of 1024 buckets changed/);
    expect(await hops('s2')).toEqual([0, 256]);
  });

  it('refuses to leave a trafficset without a server, unless forced, and says what it would do', async () => {
    room = await ControlRoom.open({ servers: ['s1'] });
    const refused = await server('drain', 's1');
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/drain s1 leaves trafficset web without a server.*use --force/);
    const forced = await server('drain', 's1', '--force');
    expect(forced.code).toBe(0);
    expect(forced.out).toMatch(/warning: drain s1 leaves trafficset web without a server/);
    expect(await hops('s1')).toEqual([1024, 0]);
  });

  it('ends with 1 when a node does not take the table in time, and says which', async () => {
    room = await ControlRoom.open();
    room.standStill('s3');
    const { code, out } = await server('drain', 's2', '--timeout', '1');
    expect(code).toBe(1);
    expect(out).toMatch(/not yet: nodes do not use the current table yet: web on s3;/);
  });

  it.each([
    ['a name that is no name', ['add', 'S_5', '--dip', '10.0.1.5'], 1, /no name of a server/],
    ['a DIP of another', ['add', 's5', '--dip', '10.0.1.2'], 1, /is the DIP of server s2 already/],
    ['a DIP outside the underlay', ['add', 's5', '--dip', '172.16.0.1'], 1, /none of underlay.prefixes/],
    ['no address', ['add', 's5', '--dip', 'here'], 2, /here/],
    ['a server that is there', ['add', 's2', '--dip', '10.0.1.9'], 1, /there is a server s2 already/],
    ['a pool of nobody', ['set', 's2', '--pool', 'gpu'], 1, /no trafficset has a pool gpu/],
    ['a weight that is no number', ['set', 's2', '--weight', '-1'], 2, /Give a number/],
    ['a server that is not there', ['drain', 's9'], 1, /there is no server s9: there are s1, s2, s3, s4/],
  ])('refuses %s', async (_what, words, code, message) => {
    room = await ControlRoom.open();
    const refused = await server(...words);
    expect(refused.err).toMatch(message);
    expect(refused.code).toBe(code);
    expect(Object.keys(await serversIn(room.store))).toEqual(['s1', 's2', 's3', 's4']);
    expect((await tableIn(room.store))?.version).toBe(1);
  });
});

describe('twohop server without a conductor', () => {
  it('stores the change, and says at once that nobody follows it', async () => {
    room = await ControlRoom.open();
    await room.stopConductor();
    const { code, out } = await server('drain', 's2');
    expect(code).toBe(0);
    expect(out).toMatch(/not yet: no conductor is active; the change is stored, and takes effect then/);
    expect((await serversIn(room.store)).s2).toMatchObject({ state: 'drained' });
    expect((await server('list')).out).toMatch(/s2 .* drained/);
    await room.startConductor();
    // The same once more waits for what was left undone.
    await server('set', 's2', '--weight', '2');
    expect(await hops('s2')).toEqual([0, 256]);
  });

  it('does not wait when asked not to', async () => {
    room = await ControlRoom.open();
    const change = await asJson('drain', 's2', '--no-wait');
    expect(change).toMatchObject({ changed: true, seconds: null, missing: null, trafficsets: [] });
  });

  it('names a record that cannot be read, and removes it', async () => {
    room = await ControlRoom.open();
    await room.store.transact({ puts: [{ key: 'servers/s9', value: Buffer.from('{') }] });
    const list = await server('list');
    expect(list.code).toBe(1);
    expect(list.err).toMatch(
      /servers\/s9 in the store cannot be read: remove it with twohop server remove s9/,
    );
    expect((await server('remove', 's9')).out).toMatch(/warning: the record of s9 could not be read/);
    expect((await server('list')).code).toBe(0);
  });
});

/** A store that takes a while for each table. */
function slow(store: Store): Store {
  const transact = store.transact.bind(store);
  store.transact = async (transaction: Transaction) => {
    const isTable = transaction.puts?.some(({ key }) => key.startsWith('tables/')) === true;
    if (isTable) await new Promise((resolve) => setTimeout(resolve, 400));
    return transact(transaction);
  };
  return store;
}
