import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { SYSTEM_CLOCK } from '../../../src/conductor/clock.js';
import { PrometheusLoad, type PrometheusOptions } from '../../../src/conductor/load/prometheus.js';
import { MemoryServer } from '../../../src/store/memory.js';
import { waitUntil } from '../../../src/testbed/wait.js';
import { describePrivileged } from '../../privileged.js';
import { clusterOf, startConductor, startNodes, statusIn, tableIn } from '../support.js';
import { Exporter, listening, TestPrometheus } from './real-prometheus.js';

const SERVERS = ['s1', 's2', 's3'];
const LOADS = { s1: 0.5, s2: 0.25, s3: 1.75 };
/** Longer than a scrape takes on a busy machine, shorter than a person waits. */
const INTERVAL = 1;

describePrivileged('load from a real Prometheus', ['prometheus'], () => {
  let exporter: Exporter;
  let prometheus: TestPrometheus;
  let told: string[];
  // Seconds go by until one that was started scrapes.
  beforeAll(async () => {
    exporter = await Exporter.start(LOADS);
    prometheus = await TestPrometheus.start(exporter, SERVERS);
  });
  beforeEach(async () => {
    told = [];
    exporter.set(LOADS);
    await gives(loadOf(), LOADS);
    told = [];
  });
  afterAll(async () => {
    await prometheus?.remove();
    exporter?.close();
  });

  function loadOf(change: Partial<PrometheusOptions> = {}): PrometheusLoad {
    return new PrometheusLoad({
      address: prometheus.address,
      expression: 'sum by (server) (test_load)',
      intervalSeconds: INTERVAL,
      clock: SYSTEM_CLOCK,
      events: {
        trouble: (message) => told.push(message),
        recovered: () => told.push('recovered'),
        dropped: (reason) => told.push(reason),
      },
      ...change,
    });
  }

  /** Until it says this, and nothing else. */
  async function gives(load: PrometheusLoad, expected: Readonly<Record<string, number>>): Promise<void> {
    let last = '';
    const right = async () => {
      last = JSON.stringify(Object.fromEntries([...(await load.sample())].sort()));
      return last === JSON.stringify(expected);
    };
    await waitUntil(`load to be ${JSON.stringify(expected)}`, right).catch((error: Error) => {
      throw new Error(`${error.message}; it was ${last}; told: ${told.join('; ')}`);
    });
  }

  it('has the value of each server, and follows it', async () => {
    const load = loadOf();
    exporter.set({ ...LOADS, s2: 3 });
    await gives(load, { ...LOADS, s2: 3 });
  });

  it('leaves out a server whose exporter does not answer, until it does', async () => {
    const load = loadOf();
    exporter.set({ s1: 0.5, s3: 1.75 });
    await gives(load, { s1: 0.5, s3: 1.75 });
    exporter.set({ ...LOADS, s2: 1 });
    await gives(load, { ...LOADS, s2: 1 });
  });

  it('leaves out what is no number', async () => {
    const load = loadOf({
      expression: 'sum by (server) (test_load) / (sum by (server) (test_load) > bool 0.3)',
    });
    await gives(load, { s1: 0.5, s3: 1.75 });
    expect(told).toContain('not-a-number');
  });

  it('does not wait for a Prometheus that hangs longer than a balance step', async () => {
    const load = loadOf();
    prometheus.kill('SIGSTOP');
    expect((await load.sample()).size).toBe(0);
    expect(told.at(-1)).toMatch(/no answer in time/);
    prometheus.kill('SIGCONT');
    await gives(load, LOADS);
  });

  it('moves new flows of a conductor by what is measured, and none without', async () => {
    const server = new MemoryServer();
    const store = server.open();
    await startNodes(store, SERVERS);
    const source = `{ prometheus: '${prometheus.address}', expression: sum by (server) (test_load) }`;
    const balance = `{ buckets: 256, load: ${source}, interval_seconds: 0.3, max_change_per_minute: 1, min_second_hop_age_seconds: 0 }`;
    const conductor = await startConductor(server.open(), clusterOf({ servers: SERVERS, balance }));
    onTestFinished(() => conductor.stop());
    const counted = async (metric: string) => {
      const { text } = await conductor.metrics.text();
      const line = text.split('\n').find((one) => one.startsWith(`twohop_conductor_${metric}{`));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    const version = async () => (await tableIn(store))?.version ?? 0;
    const loadOf = async (name: string) => (await statusIn(store))?.servers[name]?.load.web ?? null;

    await waitUntil('new flows to leave the loaded server', async () => (await version()) > 1);

    prometheus.kill('SIGSTOP');
    await waitUntil('Prometheus to be missed', async () => (await counted('load_dropped_total')) > 0);
    const whenDown = await version();
    const missed = await counted('load_dropped_total');
    await waitUntil('more steps', async () => (await counted('load_dropped_total')) >= missed + 4);
    expect(await version()).toBe(whenDown);

    // The loaded one says nothing any more, and the others are equal.
    exporter.set({ s1: 0.5, s2: 0.5 });
    prometheus.kill('SIGCONT');
    const equal = async () => (await loadOf('s1')) === 1 && (await loadOf('s3')) === null;
    await waitUntil('one server to be without load', equal);
    const whenMissing = await version();
    const steps = await counted('plan_seconds_count');
    await waitUntil('more steps', async () => (await counted('plan_seconds_count')) >= steps + 4);
    expect(await version()).toBe(whenMissing);
  });

  it('has nothing while Prometheus is gone, tells it once, and takes nothing old when it is back', async () => {
    const load = loadOf({ expression: `avg by (server) (avg_over_time(test_load[${2 * INTERVAL}s]))` });
    await prometheus.stop();
    const stopped = performance.now();
    expect((await load.sample()).size).toBe(0);
    expect((await load.sample()).size).toBe(0);
    expect(told).toEqual(['unreachable', expect.stringMatching(/no load is balanced by it/), 'unreachable']);
    exporter.set({ s1: 7, s2: 7, s3: 7 });
    await waitUntil('what it has to be old', () => performance.now() - stopped > 2000 * INTERVAL);
    await prometheus.start();
    // It answers at once, and scrapes later.
    const seen = new Set<number>();
    const fresh = async () => {
      const loads = await load.sample();
      for (const one of loads.values()) seen.add(one);
      return loads.size === SERVERS.length;
    };
    await waitUntil('fresh samples', fresh);
    expect([...seen]).toEqual([7]);
    expect(told.at(-1)).toBe('recovered');
  });

  it('takes nothing while its clock and that of Prometheus differ', async () => {
    const ahead = { ...SYSTEM_CLOCK, unix: () => Date.now() + 60_000 };
    expect((await loadOf({ clock: ahead }).sample()).size).toBe(0);
    expect(told.filter((word) => word === 'stale')).toHaveLength(3);
    expect(told.at(-1)).toMatch(/clocks of Prometheus and conductor differ/);
  });

  it.each([
    ['without the label server', 'sum(test_load)', /samples without the label server/],
    ['with several samples per server', '{server="s1"}', /several samples for server s1/],
    ['that are wrong', 'sum by (', /parse error/],
    ['that give no samples', 'no_such_metric', /the expression has no samples/],
    ['that give no vector', '"text"', /the expression gives a string/],
  ])('says what is wrong with expressions %s', async (_what, expression, message) => {
    expect((await loadOf({ expression }).sample()).size).toBe(0);
    expect(told.at(-1)).toMatch(message);
  });
});

it('asks Prometheus to look back no further than two balance steps', async () => {
  const asked: Record<string, string>[] = [];
  const server = createServer((request, response) => {
    asked.push(Object.fromEntries(new URL(request.url ?? '', 'http://prometheus').searchParams));
    response.end();
  });
  onTestFinished(() => void server.close());
  const port = await listening(server);
  const events = { trouble: () => {}, recovered: () => {}, dropped: () => {} };
  const address = `http://127.0.0.1:${port}/`;
  await new PrometheusLoad({
    address,
    expression: 'load',
    intervalSeconds: 2.5,
    clock: SYSTEM_CLOCK,
    events,
  }).sample();
  expect(asked).toEqual([{ query: 'load', lookback_delta: '5' }]);
});
