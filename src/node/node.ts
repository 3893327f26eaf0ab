import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AdminServer, type Health } from '../admin/server.js';
import { createDissector } from '../flow/registry.js';
import { pathConfigOf } from '../path/config.js';
import type { PathConfig } from '../path/state.js';
import type { Store } from '../store/store.js';
import type { Prefix } from '../table/address.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { protocolsOf } from '../table/trafficset.js';
import { fixedDifferences, type NodeConfig } from './config.js';
import { NodeControl } from './control.js';
import { ControlMetrics } from './control-metrics.js';
import { CpuMeter, readCpu } from './cpu.js';
import { DataPlane } from './data-plane.js';
import { type DissectorLabels, NodeMetrics } from './metrics.js';
import { NodeNetwork, STATE_DIRECTORY } from './node-network.js';
import { NodeVips } from './node-vips.js';
import { type NodeState, REPORT_MS } from './presence.js';
import { noRoutes, type RouteAnnouncer } from './routes/announcer.js';
import { Bird } from './routes/bird.js';
import { RouteKeeper } from './routes/route-keeper.js';
import { SelfCheck } from './self-check.js';
import { SessionFollowers } from './session-followers.js';
import { TableSet } from './table-set.js';

export interface NodeOptions {
  readonly config: NodeConfig;
  readonly log: Logger;
  /** Reads the configuration again, for SIGHUP. */
  reload(): NodeConfig;
  /** False when somebody else sets the network up. */
  readonly networkSetup: boolean;
  /** Where tables, VIPs and servers come from beside the configuration; closed with the node. */
  readonly store: Store | null;
  /** Takes tables from the store that are older than the node's copy. */
  readonly allowOlderTables?: boolean;
  /** A worker died: the process must end. */
  onFailure(error: Error): void;
}

/**
 * One process on one server: follows the tables, runs the data plane, answers /metrics and /healthz. Everything per
 * packet happens in the workers; here is everything slow.
 */
export class TwohopNode {
  private plane: DataPlane | null = null;
  private network: NodeNetwork | null = null;
  private admin: AdminServer | null = null;
  private readonly metrics: NodeMetrics;
  private readonly controlMetrics: ControlMetrics;
  private readonly tables: TableSet;
  private readonly sessions: SessionFollowers;
  private readonly vips: NodeVips;
  private readonly control: NodeControl | null;
  private readonly routes: RouteKeeper;
  private readonly announcer: RouteAnnouncer;
  private readonly cpu: CpuMeter;
  private readonly selfCheck = new SelfCheck();
  private dissectors: readonly DissectorLabels[];
  /** As the file has it, with the servers that the store knows. */
  private config: NodeConfig;
  /** As the file has it. */
  private written: NodeConfig;
  /** Steering stands: from here on the server does what its health says. */
  private isUp = false;
  /** While the workers still count by the old configuration's trafficsets. */
  private reloading = false;
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> = Promise.resolve();

  private constructor(private readonly options: NodeOptions) {
    const { config, log, store } = options;
    this.config = config;
    this.written = config;
    this.dissectors = dissectorsOf(config);
    this.metrics = new NodeMetrics(config.name, {
      trafficsets: () => this.config.trafficsets.map((trafficset) => trafficset.name),
      counters: () => this.plane?.counters ?? [],
      status: () => this.plane?.status ?? [],
      underlaySent: () => this.plane?.underlaySent ?? { packets: 0, bytes: 0, errors: 0, tooBig: 0 },
      tables: () => this.tables.gauges(this.taken),
      sessions: () => this.sessions.sizes(),
      dissectors: () => this.dissectors,
    });
    this.controlMetrics = new ControlMetrics(this.metrics.registry, {
      store: () => this.control?.contact ?? null,
      cpu: () => ({ reading: this.cpu.reading(), ratio: this.cpu.ratio }),
      routes: () => this.routes.state,
      vips: () => this.vips.gauges(this.taken),
    });
    this.cpu = new CpuMeter(() => readCpu(config.cpu));
    const from = store === null ? null : { store, allowOlder: options.allowOlderTables === true };
    this.tables = new TableSet(from, {
      table: (trafficset, table) => this.publishTable(trafficset, table),
      refused: (trafficset, { reason, message }) => {
        this.metrics.tableRefused(trafficset, reason);
        const kept = this.tables.table(trafficset)?.version ?? null;
        log.warn({ trafficset, reason, kept }, `table refused: ${message}`);
      },
      copyFailed: (trafficset, message) => this.copyFailed(trafficset, message),
    });
    this.sessions = new SessionFollowers(config.name, () => this.taken, {
      sessions: (trafficset) => this.publishSessions(trafficset),
      refused: (trafficset, reason, message) => {
        this.metrics.sessionsRefused(trafficset, reason);
        log.warn({ trafficset, reason }, `sessions refused: ${message}`);
      },
    });
    this.vips = new NodeVips(() => this.config, {
      refused: (trafficset, { reason, message }) => this.vipsRefused(trafficset, reason, message),
      copyFailed: (trafficset, message) => this.copyFailed(trafficset, message),
    });
    this.control =
      store === null
        ? null
        : new NodeControl(store, config, log, {
            state: () => this.state(),
            vips: (trafficset, version, ranges) =>
              this.later(() => this.useVips(trafficset, version, ranges)),
            vipsRefused: (trafficset, reason, message) => this.vipsRefused(trafficset, reason, message),
            servers: () => this.later(() => this.useServers()),
          });
    this.announcer = this.announcerOf(config);
    this.routes = new RouteKeeper(
      this.announcer,
      () => this.wantedRoutes(),
      (message) => log.info(message),
    );
  }

  /** @throws with a message for people when anything is missing; nothing is left behind then */
  static async start(options: NodeOptions): Promise<TwohopNode> {
    const node = new TwohopNode(options);
    try {
      await node.inTurn(() => node.up());
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
    this.tables.follow(config.trafficsets);
    if (this.control !== null) this.vips.readCopies();
    this.sessions.follow(config.trafficsets);

    // First, because of what a second node by mistake would do: it fails here, and has taken no packet.
    this.admin = new AdminServer(
      () => this.metrics.text(),
      () => this.health(),
    );
    for (const address of config.admin) await this.admin.listen(address);
    if (this.options.networkSetup) this.network = await NodeNetwork.prepare(config);
    await this.startPlane();
    await this.announcer.start();
    await this.network?.steer(this.vips.state.routes);
    this.isUp = true;
    this.control?.start();
    this.check();
    this.timer = setInterval(() => this.check(), REPORT_MS);
    this.timer.unref();
    this.options.log.info(
      {
        dip: config.dip,
        workers: config.workers,
        tun: config.tun.name,
        steering: this.options.networkSetup ? config.steering : 'none',
        failureMode: config.failureMode,
        tables: this.tables.versions(),
        ...(this.control === null ? {} : { store: this.control.store.description }),
      },
      'node is up',
    );
  }

  private async startPlane(): Promise<void> {
    const { config } = this;
    const path = this.pathConfig();
    const given = new Map(config.trafficsets.map(({ name }) => [name, this.tables.table(name)]));
    const givenSessions = new Map(config.trafficsets.map(({ name }) => [name, this.sessions.current(name)]));
    for (const { name } of config.trafficsets) this.sessions.told(name, 0);
    this.vips.told(0);
    this.plane = await DataPlane.start(path, {
      workers: config.workers,
      tun: config.tun.name,
      maxPacket: config.tun.mtu,
      sender: config.sender,
      onFailure: this.options.onFailure,
      onTaken: () => this.control?.presence.touch(),
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

  private announcerOf(config: NodeConfig): RouteAnnouncer {
    const { log } = this.options;
    if (config.routes === null) return noRoutes;
    return new Bird({
      config: config.routes,
      name: config.name,
      dip: config.dip,
      interface: config.interface,
      directory: STATE_DIRECTORY,
      log: (level, message) => log[level](message),
      changed: () => this.control?.presence.touch(),
    });
  }

  /** The last message that every worker has taken. */
  private get taken(): number {
    return this.plane?.taken ?? -1;
  }

  private indexOf(trafficset: string): number {
    return this.config.trafficsets.findIndex(({ name }) => name === trafficset);
  }

  private publishTable(name: string, table: ForwardingTable): void {
    const index = this.indexOf(name);
    if (this.plane === null || index < 0 || this.reloading) return;
    const started = performance.now();
    this.tables.told(name, this.plane.publishTable(index, table), table.version);
    this.options.log.info(
      {
        trafficset: name,
        version: table.version,
        buckets: table.bucketCount,
        milliseconds: Number((performance.now() - started).toFixed(3)),
      },
      'table published',
    );
    void this.routes.update();
  }

  private publishSessions(name: string): void {
    const sessions = this.sessions.current(name);
    const index = this.indexOf(name);
    if (this.plane === null || sessions === null || index < 0 || this.reloading) return;
    this.sessions.told(name, this.plane.publishSessions(index, sessions));
    this.options.log.debug({ trafficset: name, sessions: sessions.size }, 'sessions published');
  }

  private pathConfig(): PathConfig {
    const path = pathConfigOf(
      this.config,
      this.config.dipNumber,
      (name) => this.tables.table(name),
      (name) => this.sessions.current(name),
    );
    return { ...path, vips: this.vips.state.vips };
  }

  /** Ranges that the store has of a trafficset. What is to go goes first, what is new is announced last. */
  private async useVips(trafficset: string, version: number, ranges: readonly string[]): Promise<void> {
    if (this.plane === null || !this.isUp) return;
    const started = performance.now();
    const next = this.vips.judge(trafficset, version, ranges);
    if (next === null) return;
    try {
      await this.routes.narrow(next.announced);
      await this.network?.withdraw(next.routes);
      const sequence = this.plane.publishVips(next.vips);
      this.vips.use(next);
      await this.network?.serve(next.routes);
      this.vips.told(sequence);
    } catch (error) {
      this.vipsRefused(trafficset, 'network', error instanceof Error ? error.message : String(error));
      return;
    }
    this.vips.keep(trafficset, version, ranges);
    await this.routes.update();
    this.control?.presence.touch();
    const { steered, local } = next.routes;
    this.options.log.info(
      {
        trafficset,
        version,
        ranges: ranges.length,
        steered: steered.length,
        routes: local.length,
        milliseconds: Math.round(performance.now() - started),
      },
      'VIP ranges in use',
    );
  }

  private vipsRefused(trafficset: string, reason: string, message: string): void {
    this.controlMetrics.vipsRefused(trafficset, reason);
    const kept = this.vips.state.ranges.version(trafficset);
    this.options.log.warn({ trafficset, reason, kept }, `VIP ranges refused: ${message}`);
  }

  private copyFailed(trafficset: string, message: string): void {
    this.options.log.warn(
      { trafficset },
      `the copy of what the store has could not be written; a restart without the store would not have it: ${message}`,
    );
  }

  /** Dissectors may know servers by name; and a server that was drained has no routes. */
  private async useServers(): Promise<void> {
    if (!this.isUp) return;
    const next = this.withServers(this.written);
    const text = ({ servers }: NodeConfig) => JSON.stringify(servers.map(({ name, dip }) => [name, dip]));
    if (text(next) !== text(this.config)) {
      try {
        this.useConfig(next);
      } catch (error) {
        this.options.log.error(`servers of the store not taken: ${messageOf(error)}`);
      }
    }
    await this.routes.update();
  }

  private withServers(config: NodeConfig): NodeConfig {
    return this.control === null
      ? config
      : { ...config, servers: this.control.servers.joinedWith(config.servers) };
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

  /** Start, reloads, changes from the store and the stop come one after the other. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    // What fails is for who asked for it; the stop has its turn all the same.
    this.turn = done.catch(() => {});
    return done;
  }

  /** In its turn, for somebody who does not wait for it. */
  private later(work: () => Promise<void>): void {
    this.inTurn(work).catch((error: unknown) => this.options.log.error(messageOf(error)));
  }

  private async reloadNow(): Promise<void> {
    const { log } = this.options;
    if (!this.isUp) return;
    try {
      const written = this.options.reload();
      const fixed = fixedDifferences(this.written, written);
      if (fixed.length > 0) {
        log.error({ fields: fixed }, 'these settings need a restart; nothing was changed');
        return;
      }
      this.useConfig(this.withServers(written));
      this.written = written;
    } catch (error) {
      log.error(`configuration refused, the old one stays: ${messageOf(error)}`);
      return;
    }
    log.level = this.config.logLevel;
    try {
      await this.network?.reload(this.config);
      await this.network?.serve(this.vips.state.routes);
    } catch (error) {
      log.error(`${messageOf(error)}; steering stays as it was`);
    }
    await this.routes.update();
    log.info(
      { trafficsets: this.config.trafficsets.map((trafficset) => trafficset.name) },
      'configuration reloaded',
    );
  }

  /** @throws Error for people, before anything is changed */
  private useConfig(next: NodeConfig): void {
    const nextDissectors = dissectorsOf(next);
    const vips = this.vips.under(next);
    if ('reason' in vips) throw new Error(vips.message);
    const names = this.config.trafficsets.map((trafficset) => trafficset.name);
    const { dissectors } = this;
    this.config = next;
    this.dissectors = nextDissectors;
    this.vips.use(vips);
    this.reloading = true;
    try {
      this.tables.follow(next.trafficsets);
      this.sessions.follow(next.trafficsets);
    } finally {
      this.reloading = false;
    }
    if (this.plane === null) return;
    const { sequence, retired } = this.plane.publishConfig(this.pathConfig());
    this.metrics.retire(retired, names, dissectors);
    for (const { name } of next.trafficsets) {
      const table = this.tables.table(name);
      if (table !== null) this.tables.told(name, sequence, table.version);
      this.sessions.told(name, sequence);
    }
    this.vips.told(sequence);
  }

  /** Looks at itself, and does what follows from it. */
  private check(): void {
    this.cpu.tick();
    this.selfCheck.look(this.config.tun.name, this.plane?.status ?? []);
    void this.routes.update();
    this.control?.presence.touch();
  }

  private health(): Health {
    const missing = this.tables.missing();
    const { problems } = this.selfCheck;
    const versions = this.tables.gauges(this.taken).map(({ trafficset, version }) => [trafficset, version]);
    return {
      ok: this.isUp && missing.length === 0 && problems.length === 0,
      detail: {
        server: this.config.name,
        up: this.isUp,
        workers: this.config.workers,
        tables: Object.fromEntries(versions),
        ...(missing.length > 0 ? { withoutTable: missing } : {}),
        ...(problems.length > 0 ? { problems } : {}),
        ...(this.control === null ? {} : { store: this.control.contact.available }),
        ...(this.config.routes === null ? {} : { routes: this.routes.state }),
      },
    };
  }

  /** For the store. */
  private state(): NodeState {
    const { taken } = this;
    return {
      dip: this.config.dip,
      healthy: this.health().ok,
      tables: Object.fromEntries(
        this.tables.gauges(taken).map(({ trafficset, version }) => [trafficset, version]),
      ),
      vips: Object.fromEntries(
        this.vips.gauges(taken).map(({ trafficset, version }) => [trafficset, version]),
      ),
      cpu: this.cpu.ratio,
      routes: this.routes.state,
    };
  }

  /** What the router should know, or why nothing. */
  private wantedRoutes(): readonly Prefix[] | string {
    if (!this.isUp) return 'the node is not up';
    const missing = this.tables.missing();
    if (missing.length > 0) return `there is no table of ${missing.join(', ')}`;
    const { problems } = this.selfCheck;
    if (problems.length > 0) return problems.join('; ');
    const { name } = this.config;
    switch (this.control?.servers.wanted(name) ?? 'active') {
      case 'drained':
        return 'the server is drained';
      case 'removed':
        return 'the server was removed';
      case 'unknown':
        if (this.written.servers.some((server) => server.name === name)) break;
        return 'the store has not said that there is this server';
    }
    return this.vips.state.announced;
  }

  /**
   * Takes everything down again: routes first, then steering, so that no packet is taken that nobody would read.
   * @param options.asCrashed leave the network as a killed node leaves it
   */
  stop(options: { readonly asCrashed?: boolean } = {}): Promise<void> {
    return this.inTurn(() => this.stopNow(options.asCrashed === true));
  }

  private async stopNow(asCrashed: boolean): Promise<void> {
    const { log } = this.options;
    this.isUp = false;
    if (this.timer !== null) clearInterval(this.timer);
    this.control?.presence.touch();
    await this.routes.withdraw('the node stops');
    await this.announcer.stop();
    await atMost(FAREWELL_MS, this.control?.sayFarewell());
    this.tables.close();
    this.sessions.close();
    const failed = asCrashed ? [] : ((await this.network?.remove()) ?? []);
    for (const line of failed) log.warn(`could not be undone: ${line}`);
    this.network = null;
    await this.admin?.close();
    this.admin = null;
    await this.plane?.stop();
    this.plane = null;
    await atMost(
      FAREWELL_MS,
      Promise.all([this.tables.settled(), this.vips.settled(), this.control?.close()]),
    );
  }
}

/** How long a node that stops waits for a store that does not answer. */
const FAREWELL_MS = 1000;

async function atMost(milliseconds: number, work: Promise<unknown> | undefined): Promise<void> {
  const late = new AbortController();
  await Promise.race([work, sleep(milliseconds, undefined, { signal: late.signal, ref: false })]);
  late.abort();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** By trafficset, what its dissector is called and why it drops packets. */
function dissectorsOf(config: NodeConfig): DissectorLabels[] {
  return config.trafficsets.map((trafficset) => {
    const context = { servers: config.servers, protocols: protocolsOf(trafficset) };
    const { name, drops = [] } = createDissector(trafficset.dissector, context);
    return { name, drops };
  });
}
