import type { Logger } from 'pino';
import { encodeRecord, type HealthRecord, Keys } from '../store/records.js';
import type { Following, Store } from '../store/store.js';
import { followVips } from '../store/vips.js';
import type { NodeConfig } from './config.js';
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

/** All that a node hears from the store and says there, but for its tables. */
export class NodeControl {
  readonly contact: StoreContact;
  readonly servers: ServerList;
  readonly presence: Presence;
  private readonly records: LeasedRecords;
  private following: Following | null = null;

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
    this.servers = new ServerList(store, this.contact, () => events.servers());
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
  }

  /** What this node sees of the servers it checks. */
  report(health: HealthRecord): void {
    this.records.put(Keys.healthOf(this.config.name), encodeRecord(health));
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
    await this.records.close();
    await this.store.close().catch((error: unknown) => this.log.warn(`the store: ${String(error)}`));
  }
}
