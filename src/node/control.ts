import type { Logger } from 'pino';
import { encodeRecord, Keys } from '../store/records.js';
import type { Following, Store } from '../store/store.js';
import { followVips } from '../store/vips.js';
import type { NodeConfig } from './config.js';
import { HealthChecks } from './health-checks.js';
import { LeasedRecords } from './leased-records.js';
import { type NodeState, Presence } from './presence.js';
import { ServerList } from './server-list.js';
import { StoreContact } from './store-contact.js';

export interface ControlEvents {
  /** How the node stands, for the store. */
  state(): NodeState;
  /** Ranges of a trafficset, beside those of the configuration. */
  vips(trafficset: string, version: number, ranges: readonly string[]): void;
  /** Ranges that could not be read. */
  vipsRefused(trafficset: string, reason: string, message: string): void;
  /** The list of servers, or what is wanted of them, is another. */
  servers(): void;
}

/** The shortest lease that survives a busy moment of the machine. */
const LEAST_LEASE_SECONDS = 2;

/** All that a node hears from the store and says there, but for its tables: who the servers are, what is wanted of them, VIP ranges; and its own records. */
export class NodeControl {
  readonly contact: StoreContact;
  readonly servers: ServerList;
  readonly presence: Presence;
  private readonly records: LeasedRecords;
  private following: Following | null = null;
  private checks: HealthChecks | null = null;

  constructor(
    readonly store: Store,
    private readonly config: NodeConfig,
    private readonly log: Logger,
    private readonly events: ControlEvents,
  ) {
    this.contact = new StoreContact((available, why) => {
      if (available) log.info({ store: store.description }, 'the store is there');
      else log.warn({ store: store.description }, `the store is away, going on with what is in use: ${why}`);
    });
    const seconds = Math.max(LEAST_LEASE_SECONDS, config.control.conductor.node_absence_seconds);
    this.records = new LeasedRecords(store, Math.ceil(seconds), this.contact);
    this.servers = new ServerList(store, this.contact, () => {
      this.checks?.setServers(this.servers.joinedWith(config.servers));
      events.servers();
    });
    this.presence = new Presence(config.name, this.records, () => events.state());
  }

  /** Follows the servers and the VIP ranges. */
  start(): void {
    this.presence.start();
    this.servers.start();
    this.following = followVips(this.store, {
      vips: ({ trafficset, version, ranges }) => this.events.vips(trafficset, version, ranges),
      refused: (trafficset, reason, message) => this.events.vipsRefused(trafficset, reason, message),
    });
    this.checkServers(this.config);
  }

  /** Checks what this configuration says, from now on. */
  checkServers(config: NodeConfig): void {
    void this.checks?.close();
    this.checks = new HealthChecks(this.store, config, this.servers.joinedWith(config.servers), {
      report: (health) => this.records.put(Keys.healthOf(config.name), encodeRecord(health)),
      problem: (monitor, message) => this.log.warn({ monitor }, `servers cannot be checked: ${message}`),
    });
  }

  /** Says how the node stands one last time; resolves when the store has it, or is away. */
  async sayFarewell(): Promise<void> {
    this.presence.stop();
    await this.records.settled();
  }

  /** Gives up the lease, and the store. */
  async close(): Promise<void> {
    this.servers.close();
    this.following?.close();
    this.presence.stop();
    await this.checks?.close();
    await this.records.close();
    await this.store.close().catch((error: unknown) => this.log.warn(`the store: ${String(error)}`));
  }
}
