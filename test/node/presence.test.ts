import { describe, expect, it, onTestFinished } from 'vitest';
import { LeasedRecords } from '../../src/node/leased-records.js';
import { type NodeState, Presence } from '../../src/node/presence.js';
import { StoreContact } from '../../src/node/store-contact.js';
import { MemoryServer } from '../../src/store/memory.js';
import { decodeRecord, nodeRecord } from '../../src/store/records.js';
import { waitUntil } from '../../src/testbed/wait.js';

const STATE: NodeState = {
  dip: '10.0.1.1',
  healthy: true,
  tables: { web: 3 },
  vips: { web: 0 },
  cpu: 0.25,
  routes: 'none',
};

function parts(everyMs = 3_600_000) {
  const server = new MemoryServer();
  const store = server.open();
  const words: string[] = [];
  const contact = new StoreContact((available, why) => words.push(available ? 'there' : `away: ${why}`));
  const records = new LeasedRecords(store, 60, contact);
  let state = STATE;
  const presence = new Presence('s1', records, () => state, everyMs);
  onTestFinished(async () => {
    presence.stop();
    await records.close();
    await store.close();
  });
  const reader = server.open();
  onTestFinished(() => reader.close());
  return {
    server,
    store,
    contact,
    words,
    records,
    presence,
    set: (change: Partial<NodeState>) => {
      state = { ...state, ...change };
    },
    read: async () => {
      const entry = await reader.get('nodes/s1');
      return entry === null ? null : decodeRecord(nodeRecord, entry.value);
    },
  };
}

describe('the presence of a node', () => {
  it('is told at once when something changes, and CPU is told with it', async () => {
    const { presence, records, read, set } = parts();
    presence.start();
    await records.settled();
    expect(await read()).toEqual({ ...STATE, sequence: 0 });
    set({ cpu: 0.5 });
    presence.touch();
    await records.settled();
    expect((await read())?.sequence).toBe(0);
    set({ tables: { web: 4 } });
    presence.touch();
    await records.settled();
    expect(await read()).toEqual({ ...STATE, cpu: 0.5, tables: { web: 4 }, sequence: 1 });
  });

  it('is told again and again when nothing changes', async () => {
    const { presence, read } = parts(5);
    presence.start();
    await waitUntil('three reports', async () => ((await read())?.sequence ?? 0) >= 2);
  });

  it('says a last word, and none after it', async () => {
    const { presence, records, read, set } = parts();
    presence.start();
    set({ healthy: false });
    presence.stop();
    set({ healthy: true });
    presence.touch();
    await records.settled();
    expect(await read()).toMatchObject({ healthy: false, sequence: 1 });
  });

  it('goes with its lease when the node leaves', async () => {
    const { presence, records, read } = parts();
    presence.start();
    await records.settled();
    await records.close();
    expect(await read()).toBeNull();
    presence.stop();
    expect(await read()).toBeNull();
  });

  it('comes back under a new lease after the store was away, with the newest state', async () => {
    const { server, presence, records, read, set, words, contact } = parts();
    presence.start();
    await records.settled();
    expect([contact.available, ...words]).toEqual([true, 'there']);
    server.stop('pulled');
    set({ healthy: false });
    presence.touch();
    await records.settled();
    expect(contact.available).toBe(false);
    expect(words.at(-1)).toMatch(/^away: .*pulled/);
    server.start();
    await waitUntil('the record', async () => (await read())?.healthy === false);
    expect([contact.available, words.at(-1)]).toEqual([true, 'there']);
  });

  it('comes back when the store has forgotten the lease', async () => {
    const { server, presence, records, read, words } = parts(20);
    presence.start();
    await records.settled();
    server.loseData();
    await waitUntil('the record', async () => (await read()) !== null);
    expect(words).toEqual(['there']);
  });
});

describe('contact with the store', () => {
  it('is lost when one of those who use it says so, and back when all are well', () => {
    const words: string[] = [];
    let now = 1000;
    const contact = new StoreContact(
      (available, why) => words.push(available ? 'there' : why),
      () => now,
    );
    expect(contact.available).toBe(false);
    contact.heard('reads');
    contact.failed('writes', 'no space');
    contact.failed('reads', 'no route');
    now += 2500;
    expect(contact.silentSeconds).toBe(2.5);
    contact.heard('reads');
    expect([contact.available, contact.silentSeconds]).toEqual([false, 0]);
    contact.heard('writes');
    contact.heard('writes');
    expect(words).toEqual(['there', 'no space', 'there']);
  });
});
