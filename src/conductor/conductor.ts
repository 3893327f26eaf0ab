import type { Logger } from 'pino';
import { decodeRecord, Keys, type StatusRecord, statusRecord } from '../store/records.js';
import { type Store, StoreError } from '../store/store.js';
import type { ClusterConfig } from '../table/cluster.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { type Clock, SYSTEM_CLOCK } from './clock.js';
import { Leadership, type Term } from './leadership.js';
import { PrometheusLoad } from './load/prometheus.js';
import { NodeReports } from './load/reports.js';
import { type LoadSource, NO_LOAD } from './load/source.js';
import { Memory } from './memory.js';
import { ConductorMetrics } from './metrics.js';
import { Observed } from './observed.js';
import { Office } from './office.js';
import { Remembering } from './remembering.js';
import { balanceOf, needRestart } from './settings.js';
import { statusOf } from './status.js';
import { StatusWriter } from './status-writer.js';

export interface ConductorOptions {
  readonly name: string;
  readonly cluster: ClusterConfig;
  readonly store: Store;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Trafficsets of which a new first table is made, although nodes hold one that nobody knows. */
  readonly newTables?: readonly string[];
}

/** Reports of nodes come one by one; what they change is done for those of so many milliseconds at once. */
const REPORTS_MS = 50;

/** What a leader does, from election to deposition. */
interface Reign {
  readonly office: Office;
  readonly writer: StatusWriter;
}

/**
 * The control plane's process: follows the store, stands for election, and while it leads keeps every trafficset's
 * table. One that stands by knows all that the leader knows, and changes nothing.
 */
export class Conductor {
  readonly metrics: ConductorMetrics;
  private readonly clock: Clock;
  private readonly memory: Memory;
  private readonly observed: Observed;
  private readonly remembering: Remembering;
  private readonly leadership: Leadership;
  private readonly reports: NodeReports;
  private readonly newTables: Set<string>;
  private cluster: ClusterConfig;
  private term: Term | null = null;
  /** Set up a moment after the election. */
  private reign: Reign | null = null;
  private former: Promise<void> = Promise.resolve();
  private leader: string | null = null;
  private wakeAt: number | null = null;
  private cancelWake: (() => void) | null = null;

  private constructor(private readonly options: ConductorOptions) {
    const { name, cluster, store, log, clock = SYSTEM_CLOCK, newTables = [] } = options;
    this.cluster = cluster;
    this.clock = clock;
    this.newTables = new Set(newTables);
    this.reports = new NodeReports(clock);
    const { state, lease_seconds } = cluster.control.conductor;
    this.memory = new Memory(state?.replaceAll('{name}', name) ?? null, clock, log);
    this.observed = new Observed(store, clock, log, {
      changed: (what) => {
        if (what === 'servers') this.remembering.soon();
        this.wakeIn(what === 'servers' ? 0 : REPORTS_MS);
      },
      report: (server, record) => this.reports.report(server, record),
    });
    this.remembering = new Remembering(
      store,
      this.memory,
      this.observed,
      () => this.cluster.trafficsets.map((trafficset) => trafficset.name),
      clock,
      log,
      (trafficset) => this.headChanged(trafficset),
    );
    this.leadership = new Leadership(
      store,
      { name, leaseSeconds: lease_seconds, clock, log },
      {
        elected: (term) => this.elected(term),
        deposed: (why) => this.deposed(why),
        leader: (leader) => {
          this.leader = leader;
          if (leader !== null && leader !== name) log.info({ leader }, `${leader} leads; this one stands by`);
        },
      },
    );
    this.metrics = new ConductorMetrics(name, {
      leads: () => this.leads,
      storeAvailable: () => this.observed.available,
      trafficsets: () => this.keepers.map((keeper) => keeper.gauges()),
      wideProblems: () =>
        this.keepers.filter(({ health }) => health.verdict?.wideProblem != null).map((keeper) => keeper.name),
    });
  }

  /** Resolves when everything has been followed once, and this one stands for election. */
  static async start(options: ConductorOptions): Promise<Conductor> {
    const conductor = new Conductor(options);
    conductor.memory.load(options.cluster.trafficsets.map(({ name }) => name));
    await Promise.all([conductor.observed.follow(), conductor.remembering.follow()]);
    conductor.leadership.start();
    return conductor;
  }

  get leads(): boolean {
    return this.term !== null;
  }

  /** For /healthz: one that stands by is as healthy as the one that leads. */
  health(): { ok: boolean; detail: Record<string, unknown> } {
    const stuck = Object.fromEntries(this.reign?.office.refusals ?? []);
    return {
      ok: this.observed.available && Object.keys(stuck).length === 0,
      detail: {
        conductor: this.options.name,
        leads: this.leads,
        leader: this.leader,
        store: this.observed.available ? 'available' : 'away',
        refused: stuck,
        tables: Object.fromEntries(this.keepers.map((keeper) => [keeper.name, keeper.gauges().version])),
      },
    };
  }

  /**
   * Takes up another configuration, with trafficsets that come and go. Where it differs in what is fixed while a
   * conductor runs, nothing changes. Resolves when trafficsets that are new are followed.
   */
  async reload(cluster: ClusterConfig): Promise<void> {
    const { log } = this.options;
    const fixed = needRestart(this.cluster, cluster);
    if (fixed.length > 0) {
      log.error({ fields: fixed }, 'these settings need a restart; nothing was changed');
      return;
    }
    const before = this.cluster;
    this.cluster = cluster;
    const known = new Set(before.trafficsets.map(({ name }) => name));
    this.memory.loadTables(cluster.trafficsets.map(({ name }) => name).filter((name) => !known.has(name)));
    await this.remembering.followHeads();
    // Read once more meanwhile: that one opens the office.
    if (this.cluster !== cluster) return;
    log.level = cluster.control.conductor.log_level;
    log.info({ trafficsets: cluster.trafficsets.map(({ name }) => name) }, 'configuration read again');
    if (this.term === null) return;
    // A new office takes the tables up where the old one leaves them.
    this.endReign();
    this.openOffice(this.term);
  }

  /** Gives up leadership, so that another takes over at once. */
  async stop(): Promise<void> {
    await this.leadership.stop();
    await this.former;
    this.cancelWake?.();
    this.observed.close();
    this.remembering.close();
    this.memory.flush();
  }

  private get keepers() {
    return [...(this.reign?.office.keepers.values() ?? [])];
  }

  /** Many reports are looked at together. */
  private wakeIn(milliseconds: number): void {
    this.cancelWake?.();
    if (this.wakeAt === null) this.wakeAt = this.clock.now() + milliseconds;
    this.wakeAt = Math.min(this.wakeAt, this.clock.now() + milliseconds);
    this.cancelWake = this.clock.after(Math.max(0, this.wakeAt - this.clock.now()), () => {
      this.wakeAt = null;
      this.reign?.office.wake();
    });
  }

  private elected(term: Term): void {
    this.options.log.info({ term: term.guard.created }, `${this.options.name} leads`);
    this.metrics.elected();
    this.term = term;
    this.openOffice(term);
  }

  private openOffice(term: Term): void {
    const { store, log, name } = this.options;
    void this.former.then(async () => {
      const history = await this.readHistory();
      if (this.term !== term) return;
      const office = new Office({
        cluster: this.cluster,
        store,
        term,
        observed: this.observed,
        memory: this.memory,
        remembering: this.remembering,
        clock: this.clock,
        log,
        metrics: this.metrics,
        loadOf: (trafficset) => this.loadOf(trafficset),
        newTables: this.newTables,
        history: (trafficset) => history?.trafficsets[trafficset]?.moves ?? [],
        changed: () => writer.soon(),
        refused: () => this.leadership.refused(term),
      });
      const status = () => statusOf(name, office, this.observed.servers.revision);
      const writer = new StatusWriter(store, term, this.clock, log, status);
      this.reign = { office, writer };
      office.open();
    });
  }

  private deposed(why: string): void {
    this.options.log.warn(`${this.options.name} does not lead any more: ${why}`);
    this.term = null;
    this.endReign();
  }

  private endReign(): void {
    const { reign } = this;
    if (reign === null) return;
    this.reign = null;
    reign.writer.close();
    this.former = Promise.all([this.former, reign.office.close()]).then(() => {});
  }

  private headChanged(trafficset: string): void {
    const office = this.reign?.office;
    if (office?.isForeign(trafficset)) void office.retake(trafficset);
  }

  /** Moves of former terms, from their status. It is for people: where it cannot be read, it begins anew. */
  private async readHistory(): Promise<StatusRecord | null> {
    try {
      const entry = await this.options.store.get(Keys.status);
      return entry === null ? null : decodeRecord(statusRecord, entry.value);
    } catch (error) {
      if (error instanceof StoreError) return null;
      throw error;
    }
  }

  private loadOf(trafficset: TrafficsetConfig): LoadSource {
    const { load, interval_seconds: intervalSeconds } = balanceOf(trafficset);
    const { log } = this.options;
    const { name } = trafficset;
    if (load === 'none') return NO_LOAD;
    if (load === 'reports') return this.reports.source(intervalSeconds);
    return new PrometheusLoad({
      address: load.prometheus,
      expression: load.expression,
      intervalSeconds,
      clock: this.clock,
      events: {
        trouble: (message) => log.warn({ trafficset: name }, message),
        recovered: () => log.info({ trafficset: name }, 'load is measured again'),
        dropped: (reason, samples) => this.metrics.loadDropped(name, reason, samples),
      },
    });
  }
}
