import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { encodeRecord, Keys, type StatusRecord } from '../store/records.js';
import { type Put, type Store, StoreError } from '../store/store.js';
import { TableKeys } from '../store/table-head.js';
import { type Published, publishTable, readPublished } from '../store/tables.js';
import { restoreVips } from '../store/vips.js';
import { formatIpv4, parseIpv4 } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { ForwardingTable, HASH_KEY_LENGTH } from '../table/forwarding-table.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { type Clock, pause } from './clock.js';
import type { Term } from './leadership.js';
import type { LoadSource } from './load/source.js';
import type { Memory, RememberedTable } from './memory.js';
import type { ConductorMetrics } from './metrics.js';
import type { Observed } from './observed.js';
import { initialState, settingsOf, toTable } from './plan/index.js';
import { portions } from './portions.js';
import { type Beginning, beginningOf } from './recovery.js';
import { type Remembering, rememberedOf } from './remembering.js';
import { balanceOf } from './settings.js';
import { TrafficsetKeeper } from './trafficset-keeper.js';

/** What an office works with. */
export interface OfficeOptions {
  readonly cluster: ClusterConfig;
  readonly store: Store;
  readonly term: Term;
  readonly observed: Observed;
  readonly memory: Memory;
  readonly remembering: Remembering;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ConductorMetrics;
  loadOf(trafficset: TrafficsetConfig): LoadSource;
  /** Of these, a new table may be made although one is known. */
  readonly newTables: Set<string>;
  /** What former terms told of the moves of a trafficset. */
  history(trafficset: string): StatusRecord['trafficsets'][string]['moves'];
  /** What the status shows changed. */
  changed(): void;
  /** The store refused a write: we do not lead any more. */
  refused(): void;
}

/** While the store does not answer, or a person has to help. */
const RETRY_MS = 500;

/**
 * What the active conductor does from being elected to being deposed: it sees that the store has what it should have,
 * and keeps each trafficset's table. Everything it writes is bound to its term.
 */
export class Office {
  readonly keepers = new Map<string, TrafficsetKeeper>();
  /** By trafficset: why nothing is published, for people. */
  readonly refusals = new Map<string, string>();
  private readonly published = new Map<string, Published | null>();
  private trouble = '';
  private closed = false;
  private begun: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: OfficeOptions) {}

  open(): void {
    this.begun = this.begin();
  }

  /** Nothing new is begun from now on. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([this.begun, ...[...this.keepers.values()].map((keeper) => keeper.close())]);
  }

  /** Something changed that tables may depend on. */
  wake(): void {
    for (const keeper of this.keepers.values()) keeper.wake();
  }

  /** Whether the store has another table than the one we put there. */
  isForeign(trafficset: string): boolean {
    const { remembering } = this.options;
    const keeper = this.keepers.get(trafficset);
    const seen = remembering.heads.get(trafficset);
    const ours = this.published.get(trafficset);
    if (keeper === undefined || keeper.isPublishing || seen === undefined || ours == null) return false;
    return seen === null || seen.revision > ours.headRevision;
  }

  /** Takes up the table of a trafficset anew, as the store has another one. */
  async retake(trafficset: string): Promise<void> {
    const keeper = this.keepers.get(trafficset);
    if (keeper === undefined || this.closed) return;
    this.options.log.warn({ trafficset }, `the store's table of ${trafficset} was changed by somebody else`);
    this.keepers.delete(trafficset);
    await keeper.close();
    const config = this.options.cluster.trafficsets.find(({ name }) => name === trafficset);
    if (config !== undefined) await this.beginTrafficset(config);
  }

  private get isOver(): boolean {
    return this.closed || !this.options.term.valid;
  }

  private async begin(): Promise<void> {
    await this.persist(() => this.ensureServers());
    const { trafficsets } = this.options.cluster;
    await Promise.all(trafficsets.map((trafficset) => this.beginTrafficset(trafficset)));
  }

  private beginTrafficset(trafficset: TrafficsetConfig): Promise<void> {
    return this.persist(() => this.tryBegin(trafficset));
  }

  /** Until it is done, or our time is over. @param attempt returns whether it is done */
  private async persist(attempt: () => Promise<boolean>): Promise<void> {
    while (!this.isOver) {
      try {
        const done = await attempt();
        this.tell('');
        if (done) return;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.options.metrics.storeFailed(error.code);
        this.tell(error.message);
      }
      await pause(this.options.clock, RETRY_MS);
    }
  }

  /** What the store has of servers: given back where it lost them, from cluster.yaml where there never were any. */
  private async ensureServers(): Promise<boolean> {
    const { observed, memory, cluster, log, store } = this.options;
    // Asked for, as what is followed may still tell of the time before the data were lost.
    if ((await store.list(Keys.servers)).entries.length > 0) return true;
    const heads = cluster.trafficsets.map(({ name }) => store.get(TableKeys.head(name)));
    // Somebody removed them all: that is not ours to undo.
    if ((await Promise.all(heads)).some((head) => head !== null)) return true;
    if (memory.servers.size > 0) {
      log.warn(
        { servers: memory.servers.size },
        'the store has lost its data: it is given back what is remembered here',
      );
      return this.giveBack();
    }
    const nodesKnow = cluster.trafficsets.some(({ name }) => observed.highestVersion(name) >= 0);
    const mayBegin = memory.tables.size > 0 || this.options.newTables.size > 0;
    if (nodesKnow && !mayBegin) {
      // Each trafficset tells what to do.
      return true;
    }
    if (!mayBegin && !this.nodesHadTime()) return false;
    log.info(
      { servers: cluster.servers.length },
      'the store is new: the servers of cluster.yaml are written to it',
    );
    return this.put(
      cluster.servers.map(({ name, dip, weight, pool }) => ({
        key: Keys.server(name),
        value: encodeRecord({ dip: formatIpv4(dip), weight, pool, state: 'active' }),
      })),
    );
  }

  private async giveBack(): Promise<boolean> {
    const { memory, store } = this.options;
    const servers = [...memory.servers].map(([name, record]) => ({
      key: Keys.server(name),
      value: encodeRecord(record),
    }));
    if (!(await this.put(servers))) return false;
    for (const vips of memory.vips.values()) await restoreVips(store, vips);
    return true;
  }

  /** @returns whether all were written, and are seen */
  private async put(puts: readonly Put[]): Promise<boolean> {
    const { store, term, observed, clock } = this.options;
    let revision = 0;
    for (const some of portions(puts)) {
      if (this.isOver) return false;
      const result = await store.transact({ compare: [term.guard], puts: some });
      if (!result.done) {
        this.options.refused();
        return false;
      }
      revision = result.revision;
    }
    const seen = () => observed.servers.present.size >= puts.length || observed.servers.revision >= revision;
    while (!seen() && !this.isOver) await pause(clock, 5);
    return true;
  }

  /**
   * Whether an answer could be expected from nodes by now: who makes a first table has to know that no node holds one,
   * and nodes may be just about to come.
   */
  private nodesHadTime(): boolean {
    const { observed, cluster } = this.options;
    if (observed.lookedFor >= cluster.control.conductor.node_absence_seconds) return true;
    return cluster.servers.every(({ name }) => observed.nodes.present.has(name));
  }

  /** @returns whether there is a keeper now */
  private async tryBegin(trafficset: TrafficsetConfig): Promise<boolean> {
    const { name } = trafficset;
    const { memory, observed, newTables } = this.options;
    const stored = await this.readStored(name);
    const remembered = memory.tables.get(name);
    const beginning = newTables.has(name)
      ? ({ what: 'make' } as const)
      : beginningOf(
          {
            trafficset: name,
            stored: stored === 'damaged' ? stored : (stored?.table.version ?? null),
            remembered: remembered?.table.version ?? null,
            held: observed.highestVersion(name),
          },
          memory.tableFile(name),
        );
    this.published.set(name, stored === 'damaged' ? null : stored);
    if (beginning.what === 'refuse') return this.refuse(name, beginning.why);
    const begin = await this.beginWith(
      beginning,
      trafficset,
      stored === 'damaged' ? null : stored,
      remembered,
    );
    if (begin === null || this.isOver) return false;
    this.refuse(name, '');
    this.keep(trafficset, begin);
    newTables.delete(name);
    return true;
  }

  private async readStored(trafficset: string): Promise<Published | null | 'damaged'> {
    try {
      return await readPublished(this.options.store, trafficset);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'damaged') throw error;
      this.tell(error.message);
      return 'damaged';
    }
  }

  /** @returns the table that is in the store then; null when it is not there yet */
  private async beginWith(
    beginning: Exclude<Beginning, { what: 'refuse' }>,
    trafficset: TrafficsetConfig,
    stored: Published | null,
    remembered: RememberedTable | undefined,
  ): Promise<RememberedTable | null> {
    const { log } = this.options;
    if (beginning.what === 'stored') return stored === null ? null : rememberedOf(stored);
    if (beginning.what === 'make') {
      const first = this.firstTable(trafficset, stored);
      return first !== null && (await this.publish(trafficset.name, first)) ? first : null;
    }
    log.warn({ trafficset: trafficset.name, version: beginning.version }, beginning.why);
    const source = beginning.what === 'raise' && stored !== null ? rememberedOf(stored) : remembered;
    if (source === undefined) return null;
    if (beginning.what === 'give-back' && stored !== null && !(await this.giveBack())) return null;
    const { hashKey, slots } = source.table;
    const { version } = beginning;
    const table = new ForwardingTable({ trafficset: trafficset.name, version, hashKey, slots });
    // Where nobody knows how old a bucket is, it may be young: a second hop is kept rather than pushed out.
    const young = () => new Uint32Array(table.bucketCount).fill(Math.floor(this.options.clock.unix() / 1000));
    const next = { ...source, table, changedAt: source.changedAt ?? young() };
    return (await this.publish(trafficset.name, next)) ? next : null;
  }

  /** @returns null while there are no servers that could stand in it */
  private firstTable(trafficset: TrafficsetConfig, stored: Published | null): RememberedTable | null {
    const { observed, log, newTables } = this.options;
    const { name } = trafficset;
    if (!newTables.has(name) && !this.nodesHadTime()) return null;
    const balance = balanceOf(trafficset);
    const servers = [...observed.servers.known].map(([server, record]) => ({
      name: server,
      dip: parseIpv4(record.dip),
      weight: record.weight,
      pool: record.pool,
      // Nobody can be healthy before there is a table.
      standing: record.state === 'drained' ? ('drained' as const) : ('in' as const),
    }));
    try {
      const state = initialState({
        buckets: balance.buckets,
        settings: settingsOf(trafficset),
        servers,
        fillHolders: balance.second_hops,
      });
      const version = Math.max(stored?.table.version ?? 0, observed.highestVersion(name)) + 1;
      const table = toTable({ ...state, version }, name, randomBytes(HASH_KEY_LENGTH));
      log.info(
        { trafficset: name, version, buckets: balance.buckets, servers: servers.length },
        'first table made',
      );
      return { table, changedAt: state.changedAt, corrections: state.corrections };
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      this.refuse(name, `no first table of ${name} can be made: ${error.message}`);
      return null;
    }
  }

  private keep(trafficset: TrafficsetConfig, begin: RememberedTable): void {
    const { name } = trafficset;
    const { cluster, observed, clock, log, metrics, memory } = this.options;
    memory.rememberTable(name, begin);
    const { bucketCount } = begin.table;
    const { buckets } = balanceOf(trafficset);
    if (bucketCount !== buckets) {
      log.warn(
        { trafficset: name, buckets: bucketCount },
        `the table of ${name} keeps its ${bucketCount} buckets: another number (balance.buckets is ${buckets} now) would ` +
          `give flows other servers. To make a new table, which breaks connections, start the conductor with --new-table ${name}`,
      );
    }
    const keeper = new TrafficsetKeeper({
      trafficset,
      cluster,
      begin,
      observed,
      load: this.options.loadOf(trafficset),
      output: {
        publish: (next) => this.publish(name, next),
        current: async () => {
          const published = await readPublished(this.options.store, name);
          this.published.set(name, published);
          return published === null ? null : rememberedOf(published);
        },
        changed: () => this.options.changed(),
      },
      clock,
      log,
      metrics,
      history: this.options.history(name),
    });
    this.keepers.set(name, keeper);
    keeper.start();
    this.options.changed();
  }

  /** @returns false when we do not lead any more, or the store has another table. @throws StoreError */
  private async publish(trafficset: string, next: RememberedTable): Promise<boolean> {
    const { store, term, memory, observed, refused } = this.options;
    if (this.isOver) return false;
    const { table, corrections } = next;
    const changedAt = next.changedAt ?? new Uint32Array(table.bucketCount);
    const planner = { version: table.version, corrections: Object.fromEntries(corrections) };
    const previous = this.published.get(trafficset) ?? null;
    const result = await publishTable(store, { table, changedAt, planner }, previous, [term.guard]);
    if (result.published) {
      this.published.set(trafficset, result.state);
      memory.rememberTable(trafficset, next);
      // Together: a table given back without its servers would be planned away at once.
      memory.rememberServers(observed.servers.known);
      return true;
    }
    const leader = await store.get(Keys.leader);
    if (leader?.created !== term.guard.created) refused();
    return false;
  }

  private refuse(trafficset: string, why: string): boolean {
    if (this.refusals.get(trafficset) === why || (why === '' && !this.refusals.has(trafficset))) return false;
    if (why === '') this.refusals.delete(trafficset);
    else {
      this.refusals.set(trafficset, why);
      this.options.log.error({ trafficset }, why);
    }
    this.options.changed();
    return false;
  }

  /** @param trouble with the store; '' when there is none */
  private tell(trouble: string): void {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    if (trouble !== '') this.options.log.error(trouble);
  }
}
