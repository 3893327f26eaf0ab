import type { Logger } from 'pino';
import type { z } from 'zod';
import {
  conductorRecord,
  decodeRecord,
  type HealthRecord,
  healthRecord,
  Keys,
  type NodeRecord,
  nodeRecord,
  type ServerRecord,
  serverRecord,
} from '../store/records.js';
import type { Entry, Following, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import type { Presence } from './health/judge-servers.js';

/**
 * What the store says, in memory and up to date: servers, nodes, their health reports, conductors. What cannot be read
 * stays as it was known, and is told.
 */
export interface ObservedEvents {
  /** Something changed that standings or tables may depend on. */
  changed(what: 'servers' | 'nodes' | 'health' | 'conductors'): void;
  /** A node said something new of itself: its sequence has moved. */
  report(server: string, record: NodeRecord): void;
}

export class Observed {
  readonly servers: Records<ServerRecord>;
  readonly nodes: Records<NodeRecord>;
  readonly health: Records<HealthRecord>;
  readonly conductors: Records<z.output<typeof conductorRecord>>;
  /** Whether the store can be reached, as far as is known. */
  available = true;
  /** By server: what its node said last of its health, and at what time of {@link looking}. */
  private readonly heard = new Map<string, { healthy: boolean; at: number }>();
  private readonly looking: Stopwatch;

  constructor(
    private readonly store: Store,
    clock: Clock,
    log: Logger,
    events: ObservedEvents,
  ) {
    this.looking = new Stopwatch(clock);
    this.servers = new Records(Keys.servers, serverRecord, log, { changed: () => events.changed('servers') });
    this.health = new Records(Keys.health, healthRecord, log, { changed: () => events.changed('health') });
    this.conductors = new Records(Keys.conductors, conductorRecord, log, {
      changed: () => events.changed('conductors'),
    });
    this.nodes = new Records(Keys.nodes, nodeRecord, log, {
      changed: () => events.changed('nodes'),
      put: (name, record, before, isNews) => {
        this.heard.set(name, { healthy: record.healthy, at: this.looking.seconds });
        if (isNews || (before !== undefined && before.sequence !== record.sequence))
          events.report(name, record);
      },
      available: (available, why) => {
        if (available && !this.available) log.info('the store is there again');
        if (!available && this.available) log.error(`the store is away, nodes keep what they have: ${why}`);
        this.available = available;
        if (available) this.looking.run();
        else this.looking.stop();
        events.changed('nodes');
      },
    });
  }

  /** Resolves when everything has been told once. */
  async follow(): Promise<void> {
    this.looking.run();
    await Promise.all(this.all.map((records) => records.follow(this.store)));
  }

  close(): void {
    for (const records of this.all) records.close();
  }

  /** Of the nodes of these servers, for {@link judgeServers}. */
  presenceOf(servers: Iterable<string>): Map<string, Presence> {
    const presence = new Map<string, Presence>();
    for (const server of servers) {
      const { healthy = null, at = 0 } = this.heard.get(server) ?? {};
      const absentFor = this.nodes.present.has(server) ? 0 : this.looking.seconds - at;
      presence.set(server, { healthy, absentFor });
    }
    return presence;
  }

  /** Seconds for which the store has been looked at; times at which it was away do not count. */
  get lookedFor(): number {
    return this.looking.seconds;
  }

  /** Highest version of a trafficset's table that any node in the store holds; -1 when none holds any. */
  highestVersion(trafficset: string): number {
    let highest = -1;
    for (const record of this.nodes.known.values()) {
      highest = Math.max(highest, record.tables[trafficset] ?? -1);
    }
    return highest;
  }

  private get all() {
    return [this.servers, this.nodes, this.health, this.conductors] as const;
  }
}

interface RecordEvents<Shape> {
  changed(): void;
  /** @param isNews false when it may have been there for any time */
  put?(name: string, record: Shape, before: Shape | undefined, isNews: boolean): void;
  available?(available: boolean, why: string): void;
}

/** All records under one prefix, by the rest of their keys. */
export class Records<Shape> {
  /** What is there; for what is there and cannot be read, what it was before, when that is known. */
  readonly known = new Map<string, Shape>();
  /** Names of all that is there, readable or not. */
  readonly present = new Set<string>();
  /** Names of what is there and cannot be read. */
  readonly damaged = new Set<string>();
  /** Of the store, up to which this follows it; 0 before anything was told. */
  revision = 0;
  private following: Following | null = null;

  constructor(
    private readonly prefix: string,
    private readonly shape: z.ZodType<Shape>,
    private readonly log: Logger,
    private readonly events: RecordEvents<Shape>,
  ) {}

  /** Resolves when all that is there has been told. */
  follow(store: Store): Promise<void> {
    return new Promise((resolve) => {
      this.following = store.follow(this.prefix, {
        reset: ({ entries, revision }) => {
          const names = new Set(entries.map(({ key }) => this.nameOf(key)));
          for (const name of [...this.present]) if (!names.has(name)) this.remove(name);
          for (const entry of entries) this.put(entry, false);
          this.revision = revision;
          this.events.changed();
          resolve();
        },
        changes: (changes, revision) => {
          for (const change of changes) {
            if (change.type === 'put') this.put(change.entry, true);
            else this.remove(this.nameOf(change.key));
          }
          this.revision = revision;
          this.events.changed();
        },
        available: (available, why) => this.events.available?.(available, why),
      });
    });
  }

  close(): void {
    this.following?.close();
  }

  private put(entry: Entry, isNews: boolean): void {
    const name = this.nameOf(entry.key);
    this.present.add(name);
    const record = decodeRecord(this.shape, entry.value);
    if (record === null) {
      if (this.damaged.has(name)) return;
      this.damaged.add(name);
      const kept = this.known.has(name) ? 'what was known of it stays' : 'nothing is known of it';
      this.log.error({ key: entry.key }, `the store's record ${entry.key} cannot be read: ${kept}`);
      return;
    }
    if (this.damaged.delete(name)) this.log.info({ key: entry.key }, `${entry.key} can be read again`);
    const before = this.known.get(name);
    this.known.set(name, record);
    this.events.put?.(name, record, before, isNews);
  }

  private remove(name: string): void {
    this.present.delete(name);
    this.damaged.delete(name);
    this.known.delete(name);
  }

  private nameOf(key: string): string {
    return key.slice(this.prefix.length);
  }
}

/** Time that passed while it ran. */
class Stopwatch {
  private before = 0;
  private since: number | null = null;

  constructor(private readonly clock: Clock) {}

  run(): void {
    this.since ??= this.clock.now();
  }

  stop(): void {
    this.before = this.seconds;
    this.since = null;
  }

  get seconds(): number {
    return this.before + (this.since === null ? 0 : (this.clock.now() - this.since) / 1000);
  }
}
