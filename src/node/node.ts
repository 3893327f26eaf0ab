import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AdminServer } from '../admin/server.js';
import type { Store } from '../store/store.js';
import { fixedDifferences, type NodeConfig } from './config.js';
import { NodeControl } from './control.js';
import { ControlMetrics } from './control-metrics.js';
import { CpuMeter, readCpu } from './cpu.js';
import { NodeMetrics } from './metrics.js';
import { NodeNetwork, STATE_DIRECTORY } from './node-network.js';
import { PathFeed } from './path-feed.js';
import { REPORT_MS } from './presence.js';
import { noRoutes, type RouteAnnouncer } from './routes/announcer.js';
import { Bird } from './routes/bird.js';
import { RouteKeeper } from './routes/route-keeper.js';
import { Standing } from './standing.js';

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

/** How long a node that stops waits for a store that does not answer. */
const FAREWELL_MS = 1000;

/**
 * One process on one server: follows the tables, runs the data plane, answers /metrics and /healthz. Everything per
 * packet happens in the workers; here is everything slow.
 */
export class TwohopNode {
  private network: NodeNetwork | null = null;
  private admin: AdminServer | null = null;
  private readonly metrics: NodeMetrics;
  private readonly controlMetrics: ControlMetrics;
  private readonly feed: PathFeed;
  private readonly control: NodeControl | null;
  private readonly standing: Standing;
  private readonly announcer: RouteAnnouncer;
  private readonly routes: RouteKeeper;
  private readonly cpu: CpuMeter;
  /** As the file has it; `feed.config` has the servers that only the store knows as well. */
  private written: NodeConfig;
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> = Promise.resolve();

  private constructor(private readonly options: NodeOptions) {
    const { config, log, store } = options;
    this.written = config;
    this.cpu = new CpuMeter(() => readCpu(config.cpu));
    const from = store === null ? null : { store, allowOlder: options.allowOlderTables === true };
    this.feed = new PathFeed(config, from, log, {
      refused: (what, trafficset, reason) => this.countRefusal(what, trafficset, reason),
      tablePublished: () => void this.routes.update(),
      taken: () => this.control?.presence.touch(),
      retired: (counters, names, dissectors) => this.metrics.retire(counters, names, dissectors),
      failed: (error) => options.onFailure(error),
    });
    this.control = store === null ? null : this.controlOver(store);
    this.announcer = this.announcerOf(config);
    this.standing = new Standing({
      feed: this.feed,
      isConfigured: () => this.written.servers.some(({ name }) => name === config.name),
      wanted: () => this.control?.servers.wanted(config.name) ?? null,
      storeAvailable: () => this.control?.contact.available ?? null,
      cpu: () => this.cpu.ratio,
      routes: () => this.announcer.state,
    });
    this.routes = new RouteKeeper(
      this.announcer,
      () => this.standing.routes(),
      (message) => log.info(message),
    );
    this.metrics = this.pathMetrics();
    this.controlMetrics = new ControlMetrics(this.metrics.registry, {
      store: () => this.control?.contact ?? null,
      cpu: () => ({ reading: this.cpu.reading(), ratio: this.cpu.ratio }),
      routes: () => this.announcer.state,
      vips: () => this.feed.vips.gauges(this.feed.taken),
    });
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

  private pathMetrics(): NodeMetrics {
    const { feed } = this;
    return new NodeMetrics(feed.config.name, {
      trafficsets: () => feed.config.trafficsets.map((trafficset) => trafficset.name),
      counters: () => feed.plane?.counters ?? [],
      status: () => feed.plane?.status ?? [],
      offload: () => feed.plane?.offload.offload ?? 'off',
      tunCalls: () => feed.plane?.offload.tunCalls ?? 'single',
      underlaySent: () => feed.plane?.underlaySent ?? { packets: 0, bytes: 0, errors: 0, tooBig: 0 },
      tables: () => feed.tables.gauges(feed.taken),
      sessions: () => feed.sessions.sizes(),
      dissectors: () => feed.dissectors,
      synDrops: async () => (await this.network?.synDrops()) ?? 0,
    });
  }

  private controlOver(store: Store): NodeControl {
    return new NodeControl(store, this.options.config, this.options.log, {
      state: () => this.standing.state(),
      vips: (trafficset, version, ranges) => this.later(() => this.useVips(trafficset, version, ranges)),
      vipsRefused: (trafficset, reason, message) => this.feed.vipsRefused(trafficset, { reason, message }),
      servers: () => this.later(() => this.useServers()),
    });
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

  private countRefusal(what: 'table' | 'sessions' | 'vips', trafficset: string, reason: string): void {
    if (what === 'table') this.metrics.tableRefused(trafficset, reason);
    else if (what === 'sessions') this.metrics.sessionsRefused(trafficset, reason);
    else this.controlMetrics.vipsRefused(trafficset, reason);
  }

  private async up(): Promise<void> {
    const { config } = this.feed;
    this.feed.follow();
    // First, because of what a second node by mistake would do: it fails here, and has taken no packet.
    this.admin = new AdminServer(
      () => this.metrics.text(),
      () => this.standing.health(),
    );
    for (const address of config.admin) await this.admin.listen(address);
    if (this.options.networkSetup) this.network = await NodeNetwork.prepare(config);
    await this.feed.start();
    await this.announcer.start();
    await this.network?.steer(this.feed.vips.state.routes);
    const unbounded = this.network?.synBudgetFailure ?? null;
    if (unbounded !== null) this.options.log.warn(`SYNs are not bounded by node.syn_rate: ${unbounded}`);
    this.standing.isUp = true;
    this.control?.start();
    this.check();
    this.timer = setInterval(() => this.check(), REPORT_MS);
    this.timer.unref();
    this.options.log.info(
      {
        dip: config.dip,
        workers: config.workers,
        tun: config.tun.name,
        ...this.feed.plane?.offload,
        steering: this.options.networkSetup ? config.steering : 'none',
        failureMode: config.failureMode,
        synRate: this.network === null || unbounded !== null ? 'off' : (config.synRate ?? 'off'),
        tables: this.feed.tables.versions(),
        ...(this.control === null ? {} : { store: this.control.store.description }),
      },
      'node is up',
    );
  }

  /** Looks at itself, and does what follows from it. */
  private check(): void {
    this.cpu.tick();
    this.standing.look();
    void this.routes.update();
    this.control?.presence.touch();
  }

  /** Ranges that the store has of a trafficset. What is to go goes first, what is new is announced last. */
  private async useVips(trafficset: string, version: number, ranges: readonly string[]): Promise<void> {
    if (!this.standing.isUp) return;
    const { feed, network, routes } = this;
    const started = performance.now();
    const next = feed.vips.judge(trafficset, version, ranges);
    if (next === null) return;
    try {
      await routes.narrow(next.announced);
      await network?.withdraw(next.routes);
      const sequence = feed.publishVips(next);
      await network?.serve(next.routes);
      feed.vips.told(sequence);
    } catch (error) {
      feed.vipsRefused(trafficset, { reason: 'network', message: messageOf(error) });
      return;
    }
    feed.vips.keep(trafficset, version, ranges);
    await routes.update();
    this.control?.presence.touch();
    this.options.log.info(
      {
        trafficset,
        version,
        ranges: ranges.length,
        steered: next.routes.steered.length,
        routes: next.routes.local.length,
        milliseconds: Math.round(performance.now() - started),
      },
      'VIP ranges in use',
    );
  }

  /** Dissectors may know servers by name; and a server that was drained has no routes. */
  private async useServers(): Promise<void> {
    if (!this.standing.isUp) return;
    const next = this.withServers(this.written);
    if (addressesOf(next) !== addressesOf(this.feed.config)) {
      try {
        this.feed.replace(next);
      } catch (error) {
        this.options.log.error(`servers of the store not taken: ${messageOf(error)}`);
      }
    }
    await this.routes.update();
  }

  private withServers(config: NodeConfig): NodeConfig {
    if (this.control === null) return config;
    return { ...config, servers: this.control.servers.joinedWith(config.servers) };
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

  private async reloadNow(): Promise<void> {
    const { log } = this.options;
    if (!this.standing.isUp) return;
    const before = this.written;
    try {
      const written = this.options.reload();
      const fixed = fixedDifferences(before, written);
      if (fixed.length > 0) {
        log.error({ fields: fixed }, 'these settings need a restart; nothing was changed');
        return;
      }
      this.feed.replace(this.withServers(written));
      this.written = written;
    } catch (error) {
      log.error(`configuration refused, the old one stays: ${messageOf(error)}`);
      return;
    }
    const { config } = this.feed;
    log.level = config.logLevel;
    if (monitoring(this.written) !== monitoring(before)) this.control?.checkServers(this.written);
    try {
      await this.network?.reload(config);
      await this.network?.serve(this.feed.vips.state.routes);
    } catch (error) {
      log.error(`${messageOf(error)}; steering stays as it was`);
    }
    await this.routes.update();
    log.info(
      { trafficsets: config.trafficsets.map((trafficset) => trafficset.name) },
      'configuration reloaded',
    );
  }

  /** The start, reloads, changes from the store and the stop come one after the other. */
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

  /**
   * Takes everything down again: routes first, then steering, so that no packet is taken that nobody would read.
   * @param options.asCrashed leave the network as a killed node leaves it
   */
  stop(options: { readonly asCrashed?: boolean } = {}): Promise<void> {
    return this.inTurn(() => this.stopNow(options.asCrashed === true));
  }

  private async stopNow(asCrashed: boolean): Promise<void> {
    const { log } = this.options;
    const { feed, control } = this;
    this.standing.isUp = false;
    if (this.timer !== null) clearInterval(this.timer);
    control?.presence.touch();
    await this.routes.withdraw('the node stops');
    await this.announcer.stop();
    await atMost(FAREWELL_MS, control?.sayFarewell());
    feed.close();
    const failed = asCrashed ? [] : ((await this.network?.remove()) ?? []);
    for (const line of failed) log.warn(`could not be undone: ${line}`);
    this.network = null;
    await this.admin?.close();
    this.admin = null;
    await feed.stop();
    await atMost(FAREWELL_MS, Promise.all([feed.settled(), control?.close()]));
  }
}

async function atMost(milliseconds: number, work: Promise<unknown> | undefined): Promise<void> {
  const late = new AbortController();
  const limit = sleep(milliseconds, undefined, { signal: late.signal }).catch(() => undefined);
  await Promise.race([work, limit]);
  late.abort();
}

function addressesOf({ servers }: NodeConfig): string {
  return JSON.stringify(servers.map(({ name, dip }) => [name, dip]));
}

/** What decides on the checks of servers, as text. */
function monitoring({ control, trafficsets, servers }: NodeConfig): string {
  return JSON.stringify([control, servers, trafficsets.map(({ balance }) => balance)]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
