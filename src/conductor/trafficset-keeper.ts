import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { ServerRecord, StatusRecord } from '../store/records.js';
import { formatIpv4 } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { Bell, type Clock } from './clock.js';
import { HealthJudge } from './health-judge.js';
import type { LoadSource } from './load/source.js';
import { deviationsOf, largestDeviation } from './loads.js';
import type { RememberedTable } from './memory.js';
import type { ConductorMetrics, TrafficsetGauges } from './metrics.js';
import { MoveHistory, type Moves } from './move-history.js';
import type { Observed } from './observed.js';
import {
  type BalanceSettings,
  fromTable,
  type Plan,
  type PlannedServer,
  type PlannerState,
  plan,
  settingsOf,
  shares,
} from './plan/index.js';
import { balanceOf } from './settings.js';
import { type KeeperOutput, TablePublisher } from './table-publisher.js';
import { secondHopsOf } from './tell.js';

export interface KeeperOptions {
  readonly trafficset: TrafficsetConfig;
  readonly cluster: ClusterConfig;
  readonly begin: RememberedTable;
  readonly observed: Observed;
  readonly load: LoadSource;
  readonly output: KeeperOutput;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ConductorMetrics;
  /** Moves of former terms, the newest last. */
  readonly history: Moves;
}

type TrafficsetStatus = StatusRecord['trafficsets'][string];

/** After the store refused a table. */
const RETRY_MS = 1000;

/**
 * Keeps the table of one trafficset, for as long as this conductor leads: judges the servers, plans, publishes, and
 * sleeps until something it depends on changes.
 */
export class TrafficsetKeeper {
  /** Revision of `servers/` that the published table follows; 0 before the first. */
  followed = 0;
  readonly health: HealthJudge;
  /** The last samples that were used, by server. */
  loads: ReadonlyMap<string, number> = new Map();
  /** Why nothing can be planned, for people; '' when nothing hinders. */
  private hindrance = '';
  private readonly settings: BalanceSettings;
  /** Trafficsets choose differently among equal buckets, each always alike. */
  private readonly seed: number;
  private state: PlannerState;
  private readonly publisher: TablePublisher;
  private planned: readonly PlannedServer[] = [];
  private lastPlan: Plan | null = null;
  /** What it was made of. */
  private lastInputs = '';
  private readonly moves: MoveHistory;
  private readonly bell = new Bell();
  private freshLoads: ReadonlyMap<string, number> | null = null;
  private cancelBalance: () => void = () => {};
  private closed = false;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: KeeperOptions) {
    const { trafficset, cluster, begin } = options;
    const { observed, clock, log, metrics, output } = options;
    this.health = new HealthJudge({
      trafficset,
      cluster,
      observed,
      clock,
      log,
      changed: () => output.changed(),
    });
    this.settings = settingsOf(trafficset);
    this.seed = createHash('sha256').update(trafficset.name).digest().readInt32BE(0);
    const { table, changedAt, corrections } = begin;
    this.publisher = new TablePublisher(table, output, log, metrics);
    this.state = fromTable(table, { corrections, ...(changedAt === null ? {} : { changedAt }) });
    this.moves = new MoveHistory({ trafficset: this.name, before: options.history, clock, log, metrics });
    this.health.assume(new Set(this.state.slots), new Set(this.newFlows().keys()));
  }

  start(): void {
    this.balanceLater();
    this.running = this.run();
  }

  /** Something changed that the table may depend on. */
  wake(): void {
    this.bell.ring();
  }

  /** Resolves when nothing is under way any more. */
  close(): Promise<void> {
    this.closed = true;
    this.cancelBalance();
    this.bell.ring();
    return this.running;
  }

  get name(): string {
    return this.options.trafficset.name;
  }

  /** A table is on its way to the store. */
  get isPublishing(): boolean {
    return this.publisher.isPublishing;
  }

  private get buckets(): number {
    return this.state.slots.length / 2;
  }

  gauges(): TrafficsetGauges {
    const newFlows = this.newFlows();
    return {
      trafficset: this.name,
      version: this.state.version,
      secondHopShare: secondHopsOf(this.state) / this.buckets,
      loadDeviation: largestDeviation(deviationsOf(this.loads, this.planned)),
      serversIn: newFlows.size,
      waiting: this.lastPlan?.waiting.length ?? 0,
    };
  }

  status(): TrafficsetStatus {
    const { nextAt = null, waiting = [] } = this.lastPlan ?? {};
    const names = new Map(this.planned.map(({ name, dip }) => [dip, name]));
    const newFlows = this.newFlows();
    return {
      version: this.state.version,
      buckets: this.buckets,
      newFlows: Object.fromEntries(
        [...newFlows].map(([dip, buckets]) => [names.get(dip) ?? formatIpv4(dip), buckets]),
      ),
      secondHops: secondHopsOf(this.state),
      waiting: [...[this.hindrance, this.publisher.refusal].filter((why) => why !== ''), ...waiting],
      nextAt: nextAt === null ? null : new Date(1000 * nextAt).toISOString(),
      moves: this.moves.last,
    };
  }

  /** As the published table has them; while nothing can be planned, as they are judged. */
  get servers(): readonly PlannedServer[] {
    return this.planned;
  }

  /** Load of each server as a share of its pool's mean, by name. */
  deviations(): ReadonlyMap<string, number> {
    return deviationsOf(this.loads, this.planned);
  }

  /** In how many buckets each server gets new flows, by DIP. */
  private newFlows(): Map<number, number> {
    const all = shares(this.state, this.settings.scheme);
    return new Map([...all].flatMap(([dip, { newFlows }]) => (newFlows > 0 ? [[dip, newFlows]] : [])));
  }

  private async run(): Promise<void> {
    while (!this.closed) {
      const retry = await this.step();
      if (this.closed) return;
      await this.bell.rung(this.options.clock, retry);
    }
  }

  /** @returns milliseconds after which to look again, if nothing happens before */
  private async step(): Promise<number> {
    const { observed } = this.options;
    const revision = observed.servers.revision;
    const servers = new Map(observed.servers.known);
    const judged = this.health.judge(servers);
    if (!this.mayPlan(servers)) {
      this.planned = judged;
      return RETRY_MS;
    }
    if (!(await this.outdoNodes())) return RETRY_MS;
    const loads = this.freshLoads;
    this.freshLoads = null;
    const inputs = JSON.stringify(judged);
    if (loads === null && inputs === this.lastInputs && !this.isDue()) return this.follow(revision);
    const made = this.plan(judged, loads);
    if (made === null) {
      this.planned = judged;
      return RETRY_MS;
    }
    if (made.changed.length > 0 && !(await this.publisher.publish(made.state))) return RETRY_MS;
    // Not before: who reads that a server gets new flows takes it that the table says so, too.
    this.planned = judged;
    if (made.changed.length > 0) this.moves.note(this.state, made, judged);
    this.state = made.state;
    if (JSON.stringify(made.waiting) !== JSON.stringify(this.lastPlan?.waiting))
      this.options.output.changed();
    this.lastPlan = made;
    this.lastInputs = inputs;
    return this.follow(revision);
  }

  /** Whether something that waited may be possible now. */
  private isDue(): boolean {
    const nextAt = this.lastPlan?.nextAt ?? null;
    return nextAt !== null && this.options.clock.unix() >= 1000 * nextAt;
  }

  /** The table follows the servers as of this revision. @returns milliseconds after which to look again */
  private follow(revision: number): number {
    if (revision !== this.followed) this.options.output.changed();
    this.followed = revision;
    return this.untilNext();
  }

  /** Whether nothing forbids to plan at all; what does is told once. */
  private mayPlan(servers: ReadonlyMap<string, ServerRecord>): boolean {
    const unknown = [...this.options.observed.servers.damaged].filter((name) => !servers.has(name));
    if (unknown.length > 0) {
      this.hinder(
        `servers/${unknown[0]} in the store cannot be read, and what it was is not known: put it right with ` +
          `twohop server remove ${unknown[0]} and add it again`,
      );
      return false;
    }
    if (servers.size === 0) {
      this.hinder('the store has no servers: the last table stays; see twohop server add');
      return false;
    }
    return true;
  }

  /** @param why '' when nothing hinders any more */
  private hinder(why: string): void {
    if (why === this.hindrance) return;
    this.hindrance = why;
    if (why !== '') this.options.log.error({ trafficset: this.name }, `nothing is published: ${why}`);
    this.options.output.changed();
  }

  /**
   * A node that holds a higher version than ours would never take ours: it was away while the store lost its data. The
   * same rows are published with a version above it.
   * @returns whether nodes can take what is published
   */
  private async outdoNodes(): Promise<boolean> {
    const held = this.options.observed.highestVersion(this.name);
    if (held <= this.state.version) return true;
    this.options.log.warn(
      { trafficset: this.name, held, published: this.state.version },
      `a node holds version ${held} of ${this.name}, which nobody published: the table is published again above it`,
    );
    const state = { ...this.state, version: held + 1 };
    if (!(await this.publisher.publish(state))) return false;
    this.state = state;
    return true;
  }

  private plan(servers: readonly PlannedServer[], loads: ReadonlyMap<string, number> | null): Plan | null {
    const { clock, metrics, output } = this.options;
    const started = performance.now();
    let made: Plan;
    try {
      const now = Math.floor(clock.unix() / 1000);
      made = plan(this.state, this.settings, { now, servers, loads }, this.seed);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      this.hinder(error.message);
      return null;
    }
    this.hinder('');
    metrics.planned(this.name, (performance.now() - started) / 1000);
    if (loads !== null) {
      this.loads = loads;
      output.changed();
    }
    return made;
  }

  private untilNext(): number {
    const { clock } = this.options;
    const nextAt = this.lastPlan?.nextAt ?? null;
    const planned = nextAt === null ? Number.POSITIVE_INFINITY : 1000 * nextAt - clock.unix();
    const judged = this.health.verdict?.nextAt ?? null;
    const health = judged === null ? Number.POSITIVE_INFINITY : 1000 * judged - clock.now();
    // Absence of a node is a matter of time, too: it is looked at every second.
    return Math.max(1, Math.min(1000, planned, health));
  }

  /** Samples are taken beside everything else: a Prometheus that does not answer holds up no drain. */
  private balanceLater(): void {
    const { clock, load, trafficset } = this.options;
    const balance = balanceOf(trafficset);
    if (balance.load === 'none') return;
    this.cancelBalance = clock.after(1000 * balance.interval_seconds, () => {
      void load.sample().then((samples) => {
        if (this.closed) return;
        this.freshLoads = samples;
        this.bell.ring();
        this.balanceLater();
      });
    });
  }
}
