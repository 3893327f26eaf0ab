import { existsSync } from 'node:fs';
import type { Store } from '../store/store.js';
import { followTables, type TableFollowing } from '../store/tables.js';
import { TableError } from '../table/errors.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { encodeSnapshot } from '../table/snapshot.js';
import { readTableFile } from '../table/table-file.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { CopyWriter } from './copy-writer.js';
import { InUse } from './in-use.js';
import type { TableGauge } from './metrics.js';
import { TableFollower } from './table-follower.js';

/** Why something was not taken. */
export interface Refusal {
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** Where the tables of a fleet with a store come from. */
export interface StoredTables {
  readonly store: Store;
  /** Older versions too: the operator said so. */
  readonly allowOlder: boolean;
}

interface SourceEvents {
  table(table: ForwardingTable): void;
  refused(reason: string, message: string): void;
}

export interface TableSetEvents {
  /** A new table of a trafficset, read and checked. */
  table(trafficset: string, table: ForwardingTable): void;
  /** One that was not taken; the old one stays in use. */
  refused(trafficset: string, refusal: Refusal): void;
  /** The copy of what the store has could not be written. */
  copyFailed(trafficset: string, message: string): void;
}

/** Where the table of one trafficset comes from. */
interface Source {
  readonly path: string;
  check(force: boolean): void;
  close(): void;
}

interface Followed {
  source: Source;
  table: ForwardingTable | null;
  /** Version of the table. */
  readonly inUse: InUse;
}

/**
 * The tables of all trafficsets: from files that somebody else writes, or from the store. With a store, the file is
 * this node's copy of the last table, which it reads when it starts and writes whenever it has taken another.
 */
export class TableSet {
  private readonly followed = new Map<string, Followed>();

  constructor(
    /** null: from files. */
    private readonly from: StoredTables | null,
    private readonly events: TableSetEvents,
  ) {}

  /** Follows these trafficsets and no others. A table stays in use until something better is read. */
  follow(trafficsets: readonly TrafficsetConfig[]): void {
    for (const [name, followed] of [...this.followed]) {
      const wanted = trafficsets.find((trafficset) => trafficset.name === name);
      if (wanted?.table === followed.source.path) {
        followed.source.check(true);
        continue;
      }
      followed.source.close();
      if (wanted === undefined) this.followed.delete(name);
      else this.start(name, wanted.table, followed);
    }
    for (const { name, table } of trafficsets) {
      if (!this.followed.has(name)) this.start(name, table, { table: null, inUse: new InUse(-1) });
    }
  }

  /** The last table of a trafficset; null before the first. */
  table(trafficset: string): ForwardingTable | null {
    return this.followed.get(trafficset)?.table ?? null;
  }

  /** Notes that the workers were told of the version, in a message with this number. */
  told(trafficset: string, sequence: number, version: number): void {
    this.followed.get(trafficset)?.inUse.tell(sequence, version);
  }

  /** @param taken the last message that every worker has taken */
  gauges(taken: number): TableGauge[] {
    return [...this.followed].map(([trafficset, { inUse, table }]) => ({
      trafficset,
      version: inUse.get(taken),
      buckets: table?.bucketCount ?? 0,
    }));
  }

  /** Versions by trafficset, as read; null before the first. */
  versions(): Record<string, number | null> {
    return Object.fromEntries([...this.followed].map(([name, { table }]) => [name, table?.version ?? null]));
  }

  /** Trafficsets that have no table yet. */
  missing(): string[] {
    return [...this.followed].filter(([, { table }]) => table === null).map(([name]) => name);
  }

  /** Resolves when the copies are written. */
  async settled(): Promise<void> {
    for (const { source } of this.followed.values()) {
      if (source instanceof StoredTable) await source.settled();
    }
  }

  close(): void {
    for (const { source } of this.followed.values()) source.close();
  }

  private start(name: string, path: string, before: Pick<Followed, 'table' | 'inUse'>): void {
    const events: SourceEvents = {
      table: (table) => {
        followed.table = table;
        this.events.table(name, table);
      },
      refused: (reason, message) => this.events.refused(name, { reason, message }),
    };
    const source =
      this.from === null
        ? new TableFollower(path, name, events, before.table)
        : new StoredTable(path, name, this.from, events, before.table, (message) =>
            this.events.copyFailed(name, message),
          );
    const followed: Followed = { source, table: before.table, inUse: before.inUse };
    this.followed.set(name, followed);
    source.start();
  }
}

/** The table of one trafficset in the store, and this node's copy of it. */
class StoredTable implements Source {
  private following: TableFollowing | null = null;
  private readonly copy: CopyWriter;

  constructor(
    readonly path: string,
    private readonly trafficset: string,
    private readonly from: StoredTables,
    private readonly events: SourceEvents,
    private current: ForwardingTable | null,
    copyFailed: (message: string) => void,
  ) {
    this.copy = new CopyWriter(path, copyFailed);
  }

  /** Reads the copy first: the store may be away, or may have lost its data. */
  start(): void {
    if (this.current === null) this.readCopy();
    const { current } = this;
    const { store, allowOlder } = this.from;
    this.following = followTables(
      store,
      this.trafficset,
      {
        table: (table) => {
          this.events.table(table);
          this.copy.write(() => encodeSnapshot(table));
        },
        refused: (reason, message) => this.events.refused(reason, message),
      },
      { current, allowOlder },
    );
  }

  // The store tells of what is new by itself, and the copy is only for the start.
  check(): void {}

  close(): void {
    this.following?.close();
  }

  settled(): Promise<void> {
    return this.copy.settled();
  }

  private readCopy(): void {
    if (!existsSync(this.path)) return;
    try {
      const table = readTableFile(this.path);
      if (table.trafficset !== this.trafficset) {
        this.events.refused(
          'wrong-trafficset',
          `${this.path}: the table is of trafficset ${table.trafficset}, not ${this.trafficset}`,
        );
        return;
      }
      this.current = table;
      this.events.table(table);
    } catch (error) {
      const reason = error instanceof TableError ? error.code : 'unreadable';
      this.events.refused(reason, error instanceof Error ? error.message : String(error));
    }
  }
}
