import type { Logger } from 'pino';
import { createDissector } from '../flow/registry.js';
import { pathConfigOf } from '../path/config.js';
import type { PathCounters } from '../path/counters.js';
import type { PathConfig } from '../path/state.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { protocolsOf } from '../table/trafficset.js';
import type { NodeConfig } from './config.js';
import { DataPlane } from './data-plane.js';
import type { DissectorLabels } from './metrics.js';
import { NodeVips, type VipState } from './node-vips.js';
import { SessionFollowers } from './session-followers.js';
import { type Refusal, type StoredTables, TableSet } from './table-set.js';

export interface FeedEvents {
  /** Something that was not taken, and is counted. */
  refused(what: 'table' | 'sessions' | 'vips', trafficset: string, reason: string): void;
  /** The workers were told of a table. */
  tablePublished(): void;
  /** A worker has taken what it was told. */
  taken(): void;
  /** Counters of a configuration that was replaced. */
  retired(
    counters: readonly PathCounters[],
    names: readonly string[],
    dissectors: readonly DissectorLabels[],
  ): void;
  /** A worker died. */
  failed(error: Error): void;
}

/** The workers, and all that they judge packets by: configuration, tables, sessions, VIPs. Keeps it up to date. */
export class PathFeed {
  readonly tables: TableSet;
  readonly sessions: SessionFollowers;
  readonly vips: NodeVips;
  private workers: DataPlane | null = null;
  private labels: readonly DissectorLabels[];
  /** While the workers still count by the old configuration's trafficsets. */
  private replacing = false;

  /** @param from null: tables come from files */
  constructor(
    private current: NodeConfig,
    private readonly from: StoredTables | null,
    private readonly log: Logger,
    private readonly events: FeedEvents,
  ) {
    this.labels = dissectorsOf(current);
    const copyFailed = (trafficset: string, message: string) =>
      log.warn({ trafficset }, `no copy of what the store has, for a start without it: ${message}`);
    this.tables = new TableSet(from, {
      table: (trafficset, table) => this.publishTable(trafficset, table),
      refused: (trafficset, refusal) => {
        this.refused('table', trafficset, refusal, this.tables.table(trafficset)?.version ?? null);
      },
      copyFailed,
    });
    this.sessions = new SessionFollowers(current.name, () => this.taken, {
      sessions: (trafficset) => this.publishSessions(trafficset),
      refused: (trafficset, reason, message) => this.refused('sessions', trafficset, { reason, message }),
    });
    this.vips = new NodeVips(() => this.current, {
      refused: (trafficset, refusal) => this.vipsRefused(trafficset, refusal),
      copyFailed,
    });
  }

  get config(): NodeConfig {
    return this.current;
  }

  /** By index of the trafficset, as the counters have them. */
  get dissectors(): readonly DissectorLabels[] {
    return this.labels;
  }

  /** null before the start and after the stop. */
  get plane(): DataPlane | null {
    return this.workers;
  }

  /** The last message that every worker has taken. */
  get taken(): number {
    return this.workers?.taken ?? -1;
  }

  /** Reads what there is, so that the workers start with it. */
  follow(): void {
    this.tables.follow(this.current.trafficsets);
    if (this.from !== null) this.vips.readCopies();
    this.sessions.follow(this.current.trafficsets);
  }

  /** @throws SystemError, when a worker cannot have its TUN queue or sockets */
  async start(): Promise<void> {
    const config = this.current;
    const path = this.pathConfig();
    const given = new Map(config.trafficsets.map(({ name }) => [name, this.tables.table(name)]));
    const givenSessions = new Map(config.trafficsets.map(({ name }) => [name, this.sessions.current(name)]));
    for (const { name } of config.trafficsets) this.sessions.told(name, 0);
    this.vips.told(0);
    this.workers = await DataPlane.start(path, {
      workers: config.workers,
      tun: config.tun.name,
      tunBatch: config.tun.batch,
      maxPacket: config.tun.mtu,
      sender: config.sender,
      offload: config.tun.offload,
      onFailure: (error) => this.events.failed(error),
      onTaken: () => this.events.taken(),
    });
    for (const [name, table] of given) {
      if (table !== null) this.tables.told(name, 0, table.version);
      // One may have come while the workers started.
      const now = this.tables.table(name);
      if (now !== null && now !== table) this.publishTable(name, now);
    }
    for (const [name, sessions] of givenSessions) {
      if (this.sessions.current(name) !== sessions) this.publishSessions(name);
    }
  }

  /** Other VIPs of the same trafficsets. @returns the message's number, for {@link NodeVips.told} */
  publishVips(state: VipState): number {
    this.vips.use(state);
    return this.workers?.publishVips(state.vips) ?? 0;
  }

  vipsRefused(trafficset: string, refusal: Refusal): void {
    this.refused('vips', trafficset, refusal, this.vips.state.ranges.version(trafficset));
  }

  /** Replaces the configuration. @throws Error for people, before anything is changed */
  replace(next: NodeConfig): void {
    const labels = dissectorsOf(next);
    const vips = this.vips.under(next);
    if ('reason' in vips) throw new Error(vips.message);
    const names = this.current.trafficsets.map((trafficset) => trafficset.name);
    const before = this.labels;
    this.current = next;
    this.labels = labels;
    this.vips.use(vips);
    this.replacing = true;
    try {
      this.tables.follow(next.trafficsets);
      this.sessions.follow(next.trafficsets);
    } finally {
      this.replacing = false;
    }
    if (this.workers === null) return;
    const { sequence, retired } = this.workers.publishConfig(this.pathConfig());
    this.events.retired(retired, names, before);
    for (const { name } of next.trafficsets) {
      const table = this.tables.table(name);
      if (table !== null) this.tables.told(name, sequence, table.version);
      this.sessions.told(name, sequence);
    }
    this.vips.told(sequence);
  }

  /** Nothing new is taken any more; the workers go on. */
  close(): void {
    this.tables.close();
    this.sessions.close();
  }

  async stop(): Promise<void> {
    await this.workers?.stop();
    this.workers = null;
  }

  /** Resolves when the copies of what the store has are written. */
  async settled(): Promise<void> {
    await this.tables.settled();
    await this.vips.settled();
  }

  private refused(
    what: 'table' | 'sessions' | 'vips',
    trafficset: string,
    { reason, message }: Refusal,
    kept?: number | null,
  ): void {
    this.events.refused(what, trafficset, reason);
    const named = what === 'vips' ? 'VIP ranges' : what;
    this.log.warn(
      { trafficset, reason, ...(kept === undefined ? {} : { kept }) },
      `${named} refused: ${message}`,
    );
  }

  private indexOf(trafficset: string): number {
    return this.current.trafficsets.findIndex(({ name }) => name === trafficset);
  }

  private publishTable(name: string, table: ForwardingTable): void {
    const index = this.indexOf(name);
    if (this.workers === null || index < 0 || this.replacing) return;
    const started = performance.now();
    this.tables.told(name, this.workers.publishTable(index, table), table.version);
    this.log.info(
      {
        trafficset: name,
        version: table.version,
        buckets: table.bucketCount,
        milliseconds: Number((performance.now() - started).toFixed(3)),
      },
      'table published',
    );
    this.events.tablePublished();
  }

  private publishSessions(name: string): void {
    const sessions = this.sessions.current(name);
    const index = this.indexOf(name);
    if (this.workers === null || sessions === null || index < 0 || this.replacing) return;
    this.sessions.told(name, this.workers.publishSessions(index, sessions));
    this.log.debug({ trafficset: name, sessions: sessions.size }, 'sessions published');
  }

  private pathConfig(): PathConfig {
    const path = pathConfigOf(
      this.current,
      this.current.dipNumber,
      (name) => this.tables.table(name),
      (name) => this.sessions.current(name),
    );
    return { ...path, vips: this.vips.state.vips };
  }
}

/** By trafficset, what its dissector is called and why it drops packets. @throws DissectorError */
function dissectorsOf(config: NodeConfig): DissectorLabels[] {
  return config.trafficsets.map((trafficset) => {
    const context = { servers: config.servers, protocols: protocolsOf(trafficset) };
    const { name, drops = [] } = createDissector(trafficset.dissector, context);
    return { name, drops };
  });
}
