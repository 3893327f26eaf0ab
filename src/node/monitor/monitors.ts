import type { HealthRecord, MonitorResult } from '../../store/records.js';
import type { ClusterConfig } from '../../table/cluster.js';
import type { MonitorConfig } from '../../table/control.js';
import { CannotCheck, type Check, type CheckTarget, type Outcome } from './check.js';
import { neededMonitors } from './needed.js';
import { RiseFall } from './rise-fall.js';
import { hashText, isVantage } from './vantages.js';

/**
 * The checks that this node makes of other servers, as one of the vantages.
 *
 * ```ts
 * const monitors = new Monitors({ config, name, check: checks.of, onReport: (record) => put(`health/${name}`, record) });
 * monitors.setServers(servers); // whenever the store's servers change
 * monitors.setNodes(names); // whenever the nodes that are present change, this one among them
 * await monitors.close();
 * ```
 *
 * Each server is checked by `conductor.vantages` nodes, by the monitors of the groups in use (see `needed.ts`). Checks
 * of one server by one monitor never overlap. Their phases are spread by a hash of the names, so that not all nodes
 * check at once, and the same fleet is always checked in the same order.
 */

export interface MonitoredServer extends CheckTarget {
  readonly pool: string;
}

/** What timers these are is the tests' business; milliseconds. */
export interface Timers {
  now(): number;
  set(callback: () => void, delay: number): unknown;
  clear(timer: unknown): void;
}

export interface MonitorsOptions {
  readonly config: Pick<ClusterConfig, 'control' | 'trafficsets'>;
  /** This node's server name. */
  readonly name: string;
  /** How a monitor checks: `Checks.of`. */
  readonly check: (monitor: MonitorConfig) => Check;
  /** For the store: whenever a result has changed, and every {@link REPORT_EVERY} ms. */
  onReport(record: HealthRecord): void;
  /** This node could not make a check; told once for each monitor, until one succeeds again. */
  onProblem?(monitor: string, message: string): void;
  readonly timers?: Timers;
}

/** Milliseconds between two reports at most: one that stands still for longer is stale. */
export const REPORT_EVERY = 2000;
/** Results that change together are reported together. */
const GATHER = 10;
/** Until there is a result, checks follow one another this fast at least. */
const FIRST_INTERVAL = 1000;
/** Checks on their way at once; the others wait for their turn. */
export const MOST_AT_ONCE = 64;

const REAL_TIMERS: Timers = {
  now: () => performance.now(),
  set: (callback, delay) => setTimeout(callback, delay),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** One server, by one monitor. */
interface Job {
  readonly target: MonitoredServer;
  readonly monitor: MonitorConfig;
  readonly counter: RiseFall;
  readonly stop: AbortController;
  result: MonitorResult | null;
  timer: unknown;
}

export class Monitors {
  private readonly jobs = new Map<string, Job>();
  private servers: readonly MonitoredServer[] = [];
  private nodes: readonly string[] = [];
  private readonly checks = new Map<string, Check>();
  private readonly timers: Timers;
  /** Jobs whose time has come and who wait for others to end. */
  private readonly waiting = new Set<Job>();
  private readonly running = new Set<Promise<void>>();
  private readonly troubled = new Set<string>();
  private sequence = 0;
  private reportTimer: unknown = null;
  private reportAt = Number.POSITIVE_INFINITY;
  private closed = false;

  constructor(private readonly options: MonitorsOptions) {
    this.timers = options.timers ?? REAL_TIMERS;
  }

  /** All servers there are, this node's own among them; drained ones too. */
  setServers(servers: readonly MonitoredServer[]): void {
    this.servers = servers;
    this.assign();
  }

  /** Names of the nodes that are present. */
  setNodes(nodes: readonly string[]): void {
    this.nodes = nodes;
    this.assign();
  }

  /** Ends all checks; nothing is reported any more. */
  async close(): Promise<void> {
    this.closed = true;
    this.timers.clear(this.reportTimer);
    for (const [key, job] of this.jobs) this.drop(key, job);
    await Promise.all(this.running);
  }

  private assign(): void {
    if (this.closed) return;
    const wanted = new Map<string, readonly [MonitoredServer, MonitorConfig]>();
    for (const target of this.servers) {
      if (!this.watches(target.name)) continue;
      for (const monitor of neededMonitors(this.options.config, target.pool)) {
        wanted.set(`${target.name} ${target.dip} ${monitor.name}`, [target, monitor]);
      }
    }
    let changed = false;
    for (const [key, job] of this.jobs) {
      if (wanted.has(key)) continue;
      changed ||= job.result !== null;
      this.drop(key, job);
    }
    for (const [key, [target, monitor]] of wanted) if (!this.jobs.has(key)) this.add(key, target, monitor);
    if (changed) this.reportIn(GATHER);
    else if (this.jobs.size > 0) this.reportIn(REPORT_EVERY);
  }

  private watches(server: string): boolean {
    const { name, config } = this.options;
    return isVantage(name, server, this.nodes, config.control.conductor.vantages);
  }

  private add(key: string, target: MonitoredServer, monitor: MonitorConfig): void {
    const job: Job = {
      target,
      monitor,
      counter: new RiseFall(monitor.rise, monitor.fall),
      stop: new AbortController(),
      result: null,
      timer: null,
    };
    this.jobs.set(key, job);
    const phase = hashText(`${this.options.name} ${key}`, 0) / 2 ** 32;
    this.runIn(job, phase * intervalOf(job));
  }

  private drop(key: string, job: Job): void {
    this.jobs.delete(key);
    this.waiting.delete(job);
    this.timers.clear(job.timer);
    job.stop.abort();
  }

  private runIn(job: Job, delay: number): void {
    job.timer = this.timers.set(() => this.run(job), delay);
  }

  private run(job: Job): void {
    if (this.running.size >= MOST_AT_ONCE) {
      this.waiting.add(job);
      return;
    }
    const started = this.timers.now();
    const done = this.checkOnce(job).then(() => {
      this.running.delete(done);
      if (job.stop.signal.aborted) return this.runNext();
      this.runIn(job, Math.max(0, started + intervalOf(job) - this.timers.now()));
      this.runNext();
    });
    this.running.add(done);
  }

  private runNext(): void {
    const [next] = this.waiting;
    if (next === undefined) return;
    this.waiting.delete(next);
    this.run(next);
  }

  private async checkOnce(job: Job): Promise<void> {
    const { monitor, target, stop } = job;
    let outcome: Outcome | null;
    try {
      outcome = await this.checkOf(monitor)(target, stop.signal);
    } catch (error) {
      // Whatever it is: what cannot be checked is not down for that.
      outcome = null;
      const message = error instanceof CannotCheck ? error.message : String((error as Error).stack ?? error);
      if (!stop.signal.aborted) this.tell(monitor.name, message);
    }
    if (stop.signal.aborted) return;
    if (outcome !== null) this.troubled.delete(monitor.name);
    this.take(job, outcome);
  }

  private checkOf(monitor: MonitorConfig): Check {
    let check = this.checks.get(monitor.name);
    if (check === undefined) {
      check = this.options.check(monitor);
      this.checks.set(monitor.name, check);
    }
    return check;
  }

  private tell(monitor: string, message: string): void {
    if (this.troubled.has(monitor)) return;
    this.troubled.add(monitor);
    this.options.onProblem?.(monitor, message);
  }

  private take(job: Job, outcome: Outcome | null): void {
    const before = job.result;
    job.counter.record(outcome === null ? null : outcome.up);
    const { up } = job.counter;
    if (up === null) job.result = null;
    else {
      const latency = outcome?.up === true ? outcome.latency : (before?.latency ?? null);
      const why = up ? '' : outcome?.up === false ? outcome.why : (before?.why ?? '');
      job.result = { up, latency: latency === null ? null : Math.round(1000 * latency) / 1000, why };
    }
    // The latency alone waits for the next report that comes anyway.
    if (job.result?.up !== before?.up || job.result?.why !== before?.why) this.reportIn(GATHER);
  }

  /** Makes sure that there is a report within `delay`. */
  private reportIn(delay: number): void {
    const at = this.timers.now() + delay;
    if (this.reportAt <= at) return;
    this.timers.clear(this.reportTimer);
    this.reportAt = at;
    this.reportTimer = this.timers.set(() => {
      this.reportAt = Number.POSITIVE_INFINITY;
      this.report();
      this.reportIn(REPORT_EVERY);
    }, delay);
  }

  private report(): void {
    const results: Record<string, Record<string, MonitorResult>> = {};
    for (const { target, monitor, result } of this.jobs.values()) {
      if (result === null) continue;
      results[target.name] ??= {};
      results[target.name][monitor.name] = result;
    }
    this.sequence++;
    this.options.onReport({ sequence: this.sequence, results });
  }
}

/** Milliseconds from the beginning of a check to the next. */
function intervalOf({ monitor, counter }: Job): number {
  const interval = 1000 * monitor.interval_seconds;
  return counter.up === null ? Math.min(interval, FIRST_INTERVAL) : interval;
}
