import { join } from 'node:path';
import type { Logger } from 'pino';
import { AdminServer, type Health } from '../admin/server.js';
import { createDissector } from '../flow/registry.js';
import { pathConfigOf } from '../path/config.js';
import type { PathConfig } from '../path/state.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { protocolsOf } from '../table/trafficset.js';
import type { NodeConfig } from './config.js';
import { DataPlane } from './data-plane.js';
import { InUse } from './in-use.js';
import { type DissectorLabels, NodeMetrics, type TableGauge } from './metrics.js';
import { AppliedNetwork } from './network.js';
import type { NetworkPlan } from './network-setup.js';
import { SessionFollowers } from './session-followers.js';
import { TableFollower, type TableFollowerEvents } from './table-follower.js';

/** Where the way back from a node's network changes is kept. */
const STATE_DIRECTORY = '/run/twohop';

export function networkStateFile(config: NodeConfig): string {
  return join(STATE_DIRECTORY, `${config.name}.network.json`);
}

export function networkPlan(config: NodeConfig): Omit<NetworkPlan, 'generation'> {
  return {
    tun: config.tun.name,
    mtu: config.tun.mtu,
    persistent: config.failureMode === 'closed',
    interface: config.interface,
    steering: config.steering,
    vips: config.steer,
    localRoutes: config.localRoutes,
    stickyReplies: config.stickyReplies,
  };
}

export interface NodeOptions {
  readonly config: NodeConfig;
  readonly log: Logger;
  /** Reads the configuration again, for SIGHUP. */
  reload(): NodeConfig;
  /** False when somebody else sets the network up. */
  readonly networkSetup: boolean;
  /** A worker died: the process must end. */
  onFailure(error: Error): void;
}

interface Followed {
  readonly follower: TableFollower;
  table: ForwardingTable | null;
  /** Version of the table. */
  readonly inUse: InUse;
}

/**
 * One process on one server: follows the tables, runs the data plane, answers /metrics and /healthz. Everything per
 * packet happens in the workers; here is everything slow.
 */
export class TwohopNode {
  private readonly followed = new Map<string, Followed>();
  private plane: DataPlane | null = null;
  private network: AppliedNetwork | null = null;
  private admin: AdminServer | null = null;
  private readonly metrics: NodeMetrics;
  private readonly sessions: SessionFollowers;
  private dissectors: readonly DissectorLabels[];
  private config: NodeConfig;
  /** Steering stands: from here on the server does what its health says. */
  private isUp = false;
  /** While the workers still count by the old configuration's trafficsets. */
  private reloading = false;
  private turn: Promise<void> = Promise.resolve();

  private constructor(private readonly options: NodeOptions) {
    this.config = options.config;
    this.metrics = new NodeMetrics(this.config.name, {
      trafficsets: () => this.config.trafficsets.map((trafficset) => trafficset.name),
      counters: () => this.plane?.counters ?? [],
      status: () => this.plane?.status ?? [],
      underlaySent: () => this.plane?.underlaySent ?? { packets: 0, bytes: 0, errors: 0, tooBig: 0 },
      tables: () => this.tables(),
      sessions: () => this.sessions.sizes(),
      dissectors: () => this.dissectors,
    });
    this.dissectors = dissectorsOf(this.config);
    this.sessions = new SessionFollowers(this.config.name, () => this.plane?.taken ?? -1, {
      sessions: (trafficset) => this.publishSessions(trafficset),
      refused: (trafficset, reason, message) => {
        this.metrics.sessionsRefused(trafficset, reason);
        options.log.warn({ trafficset, reason }, `sessions refused: ${message}`);
      },
    });
  }

  /** @throws with a message for people when anything is missing; nothing is left behind then */
  static async start(options: NodeOptions): Promise<TwohopNode> {
    const node = new TwohopNode(options);
    try {
      await node.up();
    } catch (error) {
      await node.network?.abandon();
      node.network = null;
      await node.stop();
      throw error;
    }
    return node;
  }

  private async up(): Promise<void> {
    const { config } = this;
    const { log } = this.options;
    for (const trafficset of config.trafficsets) this.follow(trafficset.name, trafficset.table);
    this.sessions.follow(config.trafficsets);

    // First, because of what a second node by mistake would do: it fails here, and has taken no packet.
    this.admin = new AdminServer(
      () => this.metrics.text(),
      () => this.health(),
    );
    for (const address of config.admin) await this.admin.listen(address);
    if (this.options.networkSetup) {
      this.network = await AppliedNetwork.prepare(networkPlan(config), networkStateFile(config));
    }
    const path = this.pathConfig();
    const given = new Map([...this.followed].map(([name, { table }]) => [name, table]));
    const givenSessions = new Map(config.trafficsets.map(({ name }) => [name, this.sessions.current(name)]));
    for (const { name } of config.trafficsets) this.sessions.told(name, 0);
    this.plane = await DataPlane.start(path, {
      workers: config.workers,
      tun: config.tun.name,
      maxPacket: config.tun.mtu,
      sender: config.sender,
      onFailure: this.options.onFailure,
    });
    for (const [name, followed] of this.followed) {
      const table = given.get(name) ?? null;
      if (table !== null) followed.inUse.tell(0, table.version);
      // One may have come while the workers started.
      if (followed.table !== null && followed.table !== table) this.publish(name, followed.table);
    }
    for (const [name, sessions] of givenSessions) {
      if (this.sessions.current(name) !== sessions) this.publishSessions(name);
    }
    await this.network?.steer(networkPlan(config));
    this.isUp = true;
    log.info(
      {
        dip: config.dip,
        workers: config.workers,
        tun: config.tun.name,
        steering: this.options.networkSetup ? config.steering : 'none',
        failureMode: config.failureMode,
        tables: Object.fromEntries(
          [...this.followed].map(([name, { table }]) => [name, table?.version ?? null]),
        ),
      },
      'node is up',
    );
  }

  /** @param before how the trafficset was followed until now: what is in use stays until something better is read */
  private follow(trafficset: string, path: string, before?: Followed): void {
    const { log } = this.options;
    const events: TableFollowerEvents = {
      table: (table) => {
        followed.table = table;
        this.publish(trafficset, table);
      },
      refused: (reason, message) => {
        this.metrics.tableRefused(trafficset, reason);
        log.warn({ trafficset, reason, kept: followed.table?.version ?? null }, `table refused: ${message}`);
      },
    };
    const table = before?.table ?? null;
    const followed: Followed = {
      table,
      inUse: before?.inUse ?? new InUse(-1),
      follower: new TableFollower(path, trafficset, events, table),
    };
    this.followed.set(trafficset, followed);
    followed.follower.start();
  }

  private publish(name: string, table: ForwardingTable): void {
    const followed = this.followed.get(name);
    const index = this.config.trafficsets.findIndex((trafficset) => trafficset.name === name);
    if (this.plane === null || followed === undefined || index < 0 || this.reloading) return;
    const started = performance.now();
    followed.inUse.tell(this.plane.publishTable(index, table), table.version);
    this.options.log.info(
      {
        trafficset: name,
        version: table.version,
        buckets: table.bucketCount,
        milliseconds: Number((performance.now() - started).toFixed(3)),
      },
      'table published',
    );
  }

  private publishSessions(name: string): void {
    const sessions = this.sessions.current(name);
    const index = this.config.trafficsets.findIndex((trafficset) => trafficset.name === name);
    if (this.plane === null || sessions === null || index < 0 || this.reloading) return;
    this.sessions.told(name, this.plane.publishSessions(index, sessions));
    this.options.log.debug({ trafficset: name, sessions: sessions.size }, 'sessions published');
  }

  private pathConfig(): PathConfig {
    return pathConfigOf(
      this.config,
      this.config.dipNumber,
      (name) => this.followed.get(name)?.table ?? null,
      (name) => this.sessions.current(name),
    );
  }

  /**
   * Reads the configuration again. What packets are judged by changes between two batches; what is fixed while a
   * node runs (its address, TUN, workers, steering) is named in the log and waits for a restart.
   */
  async reload(): Promise<void> {
    try {
      await this.inTurn(() => this.reloadNow());
    } catch (error) {
      this.options.log.error(`the reload failed: ${error instanceof Error ? error.stack : error}`);
    }
  }

  /** Reloads and the stop come one after the other: each finds the network as the one before left it. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    // What fails is for who asked for it; the stop has its turn all the same.
    this.turn = done.catch(() => {});
    return done;
  }

  private async reloadNow(): Promise<void> {
    const { log } = this.options;
    if (!this.isUp) return;
    let next: NodeConfig;
    let nextDissectors: readonly DissectorLabels[];
    try {
      next = this.options.reload();
      nextDissectors = dissectorsOf(next);
    } catch (error) {
      log.error(
        `configuration refused, the old one stays: ${error instanceof Error ? error.message : error}`,
      );
      return;
    }
    const fixed = differences(this.config, next);
    if (fixed.length > 0) {
      log.error({ fields: fixed }, 'these settings need a restart; nothing was changed');
      return;
    }
    const names = this.config.trafficsets.map((trafficset) => trafficset.name);
    const { dissectors } = this;
    const network = this.options.networkSetup && !sameText(networkPlan(this.config), networkPlan(next));
    this.config = next;
    this.dissectors = nextDissectors;
    log.level = next.logLevel;
    this.reloading = true;
    try {
      this.refollow();
      this.sessions.follow(next.trafficsets);
    } finally {
      this.reloading = false;
    }
    if (this.plane !== null) {
      const { sequence, retired } = this.plane.publishConfig(this.pathConfig());
      this.metrics.retire(retired, names, dissectors);
      for (const followed of this.followed.values()) {
        if (followed.table !== null) followed.inUse.tell(sequence, followed.table.version);
      }
      for (const { name } of next.trafficsets) this.sessions.told(name, sequence);
    }
    if (network) {
      try {
        const network = await AppliedNetwork.prepare(networkPlan(next), networkStateFile(next));
        await network.steer(networkPlan(next));
        this.network = network;
      } catch (error) {
        log.error(`${error instanceof Error ? error.message : error}; steering stays as it was`);
      }
    }
    log.info(
      { trafficsets: next.trafficsets.map((trafficset) => trafficset.name) },
      'configuration reloaded',
    );
  }

  private refollow(): void {
    for (const [name, followed] of [...this.followed]) {
      const trafficset = this.config.trafficsets.find((candidate) => candidate.name === name);
      if (trafficset?.table === followed.follower.path) {
        followed.follower.check(true);
        continue;
      }
      followed.follower.close();
      this.followed.delete(name);
      if (trafficset !== undefined) this.follow(name, trafficset.table, followed);
    }
    for (const trafficset of this.config.trafficsets) {
      if (!this.followed.has(trafficset.name)) this.follow(trafficset.name, trafficset.table);
    }
  }

  private tables(): TableGauge[] {
    const taken = this.plane?.taken ?? -1;
    return [...this.followed].map(([trafficset, { inUse, table }]) => ({
      trafficset,
      version: inUse.get(taken),
      buckets: table?.bucketCount ?? 0,
    }));
  }

  private health(): Health {
    const missing = [...this.followed].filter(([, { table }]) => table === null).map(([name]) => name);
    return {
      ok: this.isUp && missing.length === 0,
      detail: {
        server: this.config.name,
        up: this.isUp,
        workers: this.config.workers,
        tables: Object.fromEntries(this.tables().map((table) => [table.trafficset, table.version])),
        ...(missing.length > 0 ? { withoutTable: missing } : {}),
      },
    };
  }

  /**
   * Takes everything down again: steering first, so that no packet is taken that nobody would read.
   * @param options.asCrashed leave the network as a killed node leaves it
   */
  stop(options: { readonly asCrashed?: boolean } = {}): Promise<void> {
    return this.inTurn(() => this.stopNow(options.asCrashed === true));
  }

  private async stopNow(asCrashed: boolean): Promise<void> {
    const { log } = this.options;
    this.isUp = false;
    for (const { follower } of this.followed.values()) follower.close();
    this.sessions.close();
    const failed = asCrashed ? [] : ((await this.network?.remove()) ?? []);
    for (const line of failed) log.warn(`could not be undone: ${line}`);
    this.network = null;
    await this.admin?.close();
    this.admin = null;
    await this.plane?.stop();
    this.plane = null;
  }
}

/** By trafficset, what its dissector is called and why it drops packets. */
function dissectorsOf(config: NodeConfig): DissectorLabels[] {
  return config.trafficsets.map((trafficset) => {
    const context = { servers: config.servers, protocols: protocolsOf(trafficset) };
    const { name, drops = [] } = createDissector(trafficset.dissector, context);
    return { name, drops };
  });
}

/** Settings that cannot change while the node runs, and do differ. */
function differences(a: NodeConfig, b: NodeConfig): string[] {
  const fixed = [
    'name',
    'dip',
    'interface',
    'tun',
    'workers',
    'steering',
    'failureMode',
    'admin',
    'sender',
  ] as const;
  const changed: string[] = fixed.filter((field) => !sameText(a[field], b[field]));
  if (a.underlay.port !== b.underlay.port) changed.push('underlay.port');
  if (a.underlay.mtu !== b.underlay.mtu) changed.push('underlay.mtu');
  return changed;
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
