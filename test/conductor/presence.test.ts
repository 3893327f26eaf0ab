import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Conductor } from '../../src/conductor/conductor.js';
import { MemoryServer, type MemoryStore } from '../../src/store/memory.js';
import { parseIpv4 } from '../../src/table/address.js';
import { clusterOf, dipOf, type FakeNode, startConductor, startNodes, statusIn, tableIn } from './support.js';

/** What the conductor makes of records that go: `node_absence_seconds` 3, `settle_seconds` 1. */

let server: MemoryServer;
let store: MemoryStore;
let conductor: Conductor;
let nodes: FakeNode[];

beforeEach(async () => {
  vi.useFakeTimers();
  server = new MemoryServer();
  store = server.open();
  nodes = await startNodes(store);
  const text = { conductor: '{ node_absence_seconds: 3, settle_seconds: 1 }' };
  const starting = startConductor(server.open(), clusterOf(text));
  await pass(0.01);
  conductor = await starting;
  await pass(5);
});

afterEach(async () => {
  const stopping = conductor.stop();
  await pass(2);
  await stopping;
  vi.useRealTimers();
});

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(1000 * seconds);

/** Buckets in which s2 gets new flows. */
async function newFlowsOfS2(): Promise<number> {
  const table = await tableIn(store);
  return table?.servers().find(({ dip }) => dip === parseIpv4(dipOf('s2')))?.first ?? 0;
}

describe('a node whose record goes from the store', () => {
  it('changes nothing when it is back within the time that it may be absent', async () => {
    for (let round = 0; round < 3; round++) {
      await nodes[1].report();
      await nodes[1].die();
      await pass(2.5);
      expect(await newFlowsOfS2()).toBe(256);
      await nodes[1].report();
      await pass(2.5);
      expect(await newFlowsOfS2()).toBe(256);
    }
  });

  it('is down when it was not heard of for that time, which runs from its last word', async () => {
    await nodes[1].report();
    await pass(2.5);
    // As its lease runs out.
    await nodes[1].die();
    await pass(3);
    expect(await newFlowsOfS2()).toBe(0);
    expect((await statusIn(store))?.servers.s2).toMatchObject({
      standing: 'down',
      why: 'the store has not heard of its node for 3 s',
    });
  });

  it('may be away for as long when its last word was that it is not well, as of one that stops in good order', async () => {
    const farewell = async () => {
      nodes[1].healthy = false;
      await nodes[1].report();
      await nodes[1].die();
    };
    await farewell();
    await pass(2.5);
    nodes[1].healthy = true;
    await nodes[1].report();
    await pass(2.5);
    expect(await newFlowsOfS2()).toBe(256);
    await farewell();
    await pass(5);
    expect(await newFlowsOfS2()).toBe(0);
  });
});
