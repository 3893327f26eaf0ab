import { beforeEach, describe, expect, it } from 'vitest';
import { CannotCheck, type Check, type Outcome } from '../../../src/node/monitor/check.js';
import { MOST_AT_ONCE, Monitors, REPORT_EVERY, type Timers } from '../../../src/node/monitor/monitors.js';
import type { HealthRecord } from '../../../src/store/records.js';
import {
  balanceShape,
  conductorShape,
  monitorGroupShape,
  monitorShape,
  NO_CONTROL,
} from '../../../src/table/control.js';
import type { TrafficsetConfig } from '../../../src/table/trafficset.js';

/** A clock that stands still until it is told; callbacks run in the order of their times. */
class ManualTimers implements Timers {
  private time = 0;
  private next = 0;
  private readonly pending = new Map<number, { readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.time;
  }

  set(callback: () => void, delay: number): unknown {
    this.pending.set(++this.next, { at: this.time + delay, callback });
    return this.next;
  }

  clear(timer: unknown): void {
    this.pending.delete(timer as number);
  }

  get count(): number {
    return this.pending.size;
  }

  /** Lets milliseconds pass; what the callbacks began has gone as far as it can at each of them. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      await settled();
      const due = [...this.pending].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.pending.delete(due[0]);
      this.time = due[1].at;
      due[1].callback();
    }
    this.time = end;
  }
}

/** All promises that can go on have gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Made {
  readonly at: number;
  readonly monitor: string;
  readonly server: string;
}

const UP: Outcome = { up: true, latency: 1.5 };
const DOWN: Outcome = { up: false, why: 'HTTP 503' };

let timers: ManualTimers;
let made: Made[];
let reports: HealthRecord[];
let problems: string[];
/** What the checks find, by server and monitor; a promise that does not settle hangs until the check is stopped. */
let found: (server: string, monitor: string) => Outcome | Promise<Outcome>;

beforeEach(() => {
  timers = new ManualTimers();
  made = [];
  reports = [];
  problems = [];
  found = () => UP;
});

const SERVERS = ['s1', 's2', 's3', 's4', 's5'].map((name, index) => ({
  name,
  dip: `10.0.${index + 1}.1`,
  pool: 'default',
}));
const NODES = SERVERS.map(({ name }) => name);
const MONITOR = { type: 'tcp', port: 80, interval_seconds: 5, rise: 2, fall: 3 };

/** Node s1, which checks by `http`; `db` only observes; `old` and `unused` are not checked. */
function newMonitors(settings: { vantages?: number; pools?: Record<string, number> } = {}): Monitors {
  const { vantages = 100, pools = { default: 1 } } = settings;
  const monitors = ['http', 'db', 'old', 'unused'].map((name) => monitorShape.parse({ ...MONITOR, name }));
  const groups = [
    {
      name: 'web',
      members: [
        { monitor: 'http' },
        { monitor: 'db', monitoring_only: true },
        { monitor: 'old', enabled: false },
      ],
    },
    { name: 'nobody', members: [{ monitor: 'unused' }] },
  ].map((group) => monitorGroupShape.parse(group));
  const check = (monitor: { readonly name: string }): Check => {
    return (target, stop) => {
      made.push({ at: timers.now(), monitor: monitor.name, server: target.name });
      return Promise.race([
        Promise.resolve(found(target.name, monitor.name)),
        new Promise<Outcome>((resolve) => stop.addEventListener('abort', () => resolve(DOWN))),
      ]);
    };
  };
  return new Monitors({
    name: 's1',
    config: {
      control: { ...NO_CONTROL, conductor: conductorShape.parse({ vantages }), monitors, groups },
      trafficsets: [{ balance: balanceShape.parse({ health: 'web', pools }) } as TrafficsetConfig],
    },
    check,
    onReport: (record) => reports.push(record),
    onProblem: (monitor, message) => problems.push(`${monitor}: ${message}`),
    timers,
  });
}

function started(settings: Parameters<typeof newMonitors>[0] = {}): Monitors {
  const monitors = newMonitors(settings);
  monitors.setServers(SERVERS);
  monitors.setNodes(NODES);
  return monitors;
}

const latest = () => reports.at(-1)?.results ?? {};

describe('the monitors of a node', () => {
  it('check the other servers by the enabled members of the groups in use', async () => {
    started();
    await timers.pass(1000);
    expect(new Set(made.map(({ server }) => server))).toEqual(new Set(['s2', 's3', 's4', 's5']));
    expect(new Set(made.map(({ monitor }) => monitor))).toEqual(new Set(['http', 'db']));
  });

  it('check servers of the pools that a trafficset uses only', async () => {
    started({ pools: { other: 1 } });
    await timers.pass(10_000);
    expect(made).toEqual([]);
    expect(reports).toEqual([]);
  });

  it('check only servers for which this node is a vantage, itself when it is alone', async () => {
    const monitors = started({ vantages: 1 });
    await timers.pass(1000);
    expect(new Set(made.map(({ server }) => server)).size).toBeLessThan(4);
    monitors.setNodes(['s1']);
    made = [];
    await timers.pass(10_000);
    expect(new Set(made.map(({ server }) => server))).toEqual(new Set(NODES));
  });

  it('check every second at least until there is a result, then at the interval; not all at the same time', async () => {
    started();
    await timers.pass(17_000);
    const times = made.filter(({ server, monitor }) => server === 's2' && monitor === 'http');
    const [first] = times;
    expect(first.at).toBeLessThan(1000);
    expect(times.map(({ at }) => at - first.at)).toEqual(
      [0, 1000, 6000, 11_000, 16_000].slice(0, times.length),
    );
    expect(times.length).toBeGreaterThanOrEqual(4);
    expect(new Set(made.slice(0, 8).map(({ at }) => at)).size).toBe(8);
  });

  it('spread the checks alike each time', async () => {
    started();
    await timers.pass(1000);
    const before = made;
    made = [];
    timers = new ManualTimers();
    started();
    await timers.pass(1000);
    expect(made).toEqual(before);
  });

  it('report results by rise and fall, with the latency of the last success', async () => {
    started();
    await timers.pass(100);
    expect(latest()).toEqual({});
    await timers.pass(2000);
    expect(latest().s2).toEqual({
      http: { up: true, latency: 1.5, why: '' },
      db: { up: true, latency: 1.5, why: '' },
    });
    found = (server, monitor) => (server === 's2' && monitor === 'http' ? DOWN : UP);
    await timers.pass(10_000);
    expect(latest().s2.http.up).toBe(true);
    await timers.pass(5000);
    expect(latest().s2.http).toEqual({ up: false, latency: 1.5, why: 'HTTP 503' });
    expect(latest().s2.db.up).toBe(true);
    expect(latest().s3.http.up).toBe(true);
  });

  it('report a change at once, and otherwise every two seconds, with a sequence that grows', async () => {
    started();
    await timers.pass(10_000);
    const at: number[] = [];
    for (let passed = 0; passed < 8000; passed += 10) {
      const count = reports.length;
      await timers.pass(10);
      if (reports.length > count) at.push(timers.now());
    }
    expect(at.slice(1).map((time, index) => time - at[index])).toEqual([
      REPORT_EVERY,
      REPORT_EVERY,
      REPORT_EVERY,
    ]);
    expect(reports.map(({ sequence }) => sequence)).toEqual(reports.map((_, index) => index + 1));

    found = () => ({ up: false, why: 'connection refused' });
    let seen = -1;
    while (latest().s2.http.up) {
      seen = timers.now();
      await timers.pass(10);
    }
    const failures = made.filter((one) => one.server === 's2' && one.monitor === 'http');
    expect(seen - (failures.at(-1)?.at ?? 0)).toBeLessThanOrEqual(20);
  });

  it('never make the same check twice at once, however long it takes', async () => {
    found = () => new Promise(() => {});
    started();
    await timers.pass(60_000);
    expect(made.length).toBe(8);
  });

  it('make no more checks at once than they may, and the others as soon as some end', async () => {
    let end: (() => void)[] = [];
    found = () => new Promise((resolve) => end.push(() => resolve(UP)));
    const monitors = newMonitors();
    const many = Array.from({ length: 50 }, (_, index) => ({ ...SERVERS[0], name: `t${index}` }));
    monitors.setServers(many);
    monitors.setNodes(['s1']);
    await timers.pass(5000);
    expect(made.length).toBe(MOST_AT_ONCE);
    const ending = end;
    end = [];
    for (const one of ending) one();
    await settled();
    expect(made.length).toBe(100);
  });

  it('withdraw what they do not check any more, and what they cannot check', async () => {
    const monitors = started();
    await timers.pass(5000);
    expect(Object.keys(latest()).sort()).toEqual(['s2', 's3', 's4', 's5']);
    monitors.setServers(SERVERS.slice(0, 3));
    await timers.pass(20);
    expect(Object.keys(latest()).sort()).toEqual(['s2', 's3']);
    found = (_, monitor) => {
      if (monitor === 'db') throw new CannotCheck('/usr/bin/check-db cannot be run');
      return UP;
    };
    await timers.pass(20_000);
    expect(latest().s2).toEqual({ http: { up: true, latency: 1.5, why: '' } });
    expect(problems).toEqual(['db: /usr/bin/check-db cannot be run']);
  });

  it('begin anew with a server that has another address', async () => {
    const monitors = started();
    await timers.pass(5000);
    found = () => DOWN;
    monitors.setServers(
      SERVERS.map((server) => (server.name === 's2' ? { ...server, dip: '10.0.9.1' } : server)),
    );
    await timers.pass(20);
    expect(Object.keys(latest()).sort()).toEqual(['s3', 's4', 's5']);
  });

  it('leave nothing behind when they are closed', async () => {
    found = () => new Promise(() => {});
    const monitors = started();
    await timers.pass(5000);
    await monitors.close();
    expect(timers.count).toBe(0);
    const count = reports.length;
    monitors.setNodes(['s1']);
    await timers.pass(60_000);
    expect(reports.length).toBe(count);
    expect(timers.count).toBe(0);
  });
});
