import { decodeRecord, Keys, type ServerRecord, serverRecord } from '../store/records.js';
import type { Following, Store } from '../store/store.js';
import { parseIpv4 } from '../table/address.js';
import type { ServerConfig } from '../table/cluster.js';
import type { StoreContact } from './store-contact.js';

/**
 * What the operator wants of a server: `unknown` as long as the store has said nothing of it.
 */
export type Wanted = ServerRecord['state'] | 'removed' | 'unknown';

/** The servers of the fleet, as the store has them. */
export class ServerList {
  private records = new Map<string, ServerRecord>();
  private readonly seen = new Set<string>();
  private following: Following | null = null;

  /** @param changed the list is another */
  constructor(
    private readonly store: Store,
    private readonly contact: StoreContact,
    private readonly changed: () => void,
  ) {}

  start(): void {
    this.following = this.store.follow(Keys.servers, {
      reset: ({ entries }) => {
        this.contact.heard('reads');
        // None at all: the store has lost its data, or the conductor has not written them yet. What was known stays.
        if (entries.length === 0) return;
        this.records = new Map();
        for (const { key, value } of entries) this.put(key, value);
        this.changed();
      },
      changes: (changes) => {
        this.contact.heard('reads');
        for (const change of changes) {
          if (change.type === 'put') this.put(change.entry.key, change.entry.value);
          else this.records.delete(nameIn(change.key));
        }
        this.changed();
      },
      available: (available, why) => {
        if (available) this.contact.heard('reads');
        else this.contact.failed('reads', why);
      },
    });
  }

  close(): void {
    this.following?.close();
  }

  wanted(name: string): Wanted {
    const record = this.records.get(name);
    if (record !== undefined) return record.state;
    return this.seen.has(name) || this.records.size > 0 ? 'removed' : 'unknown';
  }

  /** Those of the configuration, with what the store says of them, and those that only the store has. */
  joinedWith(configured: readonly ServerConfig[]): ServerConfig[] {
    const joined = new Map(configured.map((server) => [server.name, server]));
    for (const [name, { dip, weight, pool }] of this.records) {
      joined.set(name, { name, dip: parseIpv4(dip), weight, pool });
    }
    return [...joined.values()];
  }

  private put(key: string, value: Uint8Array): void {
    const record = decodeRecord(serverRecord, value);
    // A newer release's, or somebody's hand: as if it had not been said.
    if (record === null) return;
    this.records.set(nameIn(key), record);
    this.seen.add(nameIn(key));
  }
}

function nameIn(key: string): string {
  return key.slice(Keys.servers.length);
}
