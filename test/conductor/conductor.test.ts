import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Conductor } from '../../src/conductor/conductor.js';
import { MemoryServer, type MemoryStore } from '../../src/store/memory.js';
import { parseIpv4 } from '../../src/table/address.js';
import {
  clusterOf,
  dipOf,
  putServer,
  SERVERS,
  serversIn,
  startConductor,
  startNodes,
  statusIn,
  tableIn,
} from './support.js';

let server: MemoryServer;
let store: MemoryStore;
const running: Conductor[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  server = new MemoryServer();
  store = server.open();
});

afterEach(async () => {
  const stopping = Promise.all(running.splice(0).map((conductor) => conductor.stop()));
  await vi.advanceTimersByTimeAsync(2000);
  await stopping;
  vi.useRealTimers();
});

async function conductorOf(text = {}, options = {}): Promise<Conductor> {
  const starting = startConductor(server.open(), clusterOf(text), options);
  await vi.advanceTimersByTimeAsync(10);
  const conductor = await starting;
  running.push(conductor);
  return conductor;
}

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(1000 * seconds);

describe('a conductor with a new store', () => {
  it('writes the servers of cluster.yaml and makes first tables with equal shares', async () => {
    await startNodes(store);
    await conductorOf();
    await pass(1);
    expect(Object.keys(await serversIn(store))).toEqual(SERVERS);
    const table = await tableIn(store);
    expect(table?.version).toBe(1);
    expect(table?.servers().map(({ first }) => first)).toEqual([256, 256, 256, 256]);
  });

  it('drains a server as soon as its record says so', async () => {
    await startNodes(store);
    await conductorOf({ balance: '{ buckets: 1024, max_change_per_minute: 1 }' });
    await pass(1);
    const revision = await putServer(store, 's2', { state: 'drained' });
    await pass(1);
    const table = await tableIn(store);
    const s2 = table?.servers().find(({ dip }) => dip === parseIpv4(dipOf('s2')));
    expect(s2).toMatchObject({ first: 0, second: 256 });
    const status = await statusIn(store);
    expect(status?.followed).toBeGreaterThanOrEqual(revision);
    expect(status?.servers.s2.standing).toBe('drained');
    expect(status?.trafficsets.web.moves.at(-1)?.text.join()).toContain('drain: 256 buckets');
  });
});
