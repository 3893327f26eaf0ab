import type { ForwardingTable } from '../table/forwarding-table.js';
import { decodeRecord } from './records.js';
import { type Entry, type Store, StoreError } from './store.js';
import { type TableHead, TableKeys, tableDigest, tableHead } from './table-head.js';
import { type ReadTable, readTable } from './table-read.js';

/** How a table came. */
export type TableArrival = Pick<ReadTable, 'how' | 'bytes'>;

export type TableRefusal =
  /** There is none of this trafficset in the store. */
  | 'missing'
  /** What is there is not what was published. */
  | 'damaged'
  | 'older-version'
  /** With other rows than those in use. */
  | 'same-version'
  /** The store did not give it; it is tried again. */
  | 'unreadable';

export interface TableEvents {
  /** A new table, read whole and checked. */
  table(table: ForwardingTable, arrival: TableArrival): void;
  /** What was not taken, and why; the old table stays in use. */
  refused(reason: TableRefusal, message: string): void;
  /** The store went away or came back; told when it changes. */
  available?(available: boolean, why: string): void;
}

export interface TableFollowing {
  /** Of the table given last, -1 before the first. */
  readonly version: number;
  close(): void;
}

export interface FollowTablesOptions {
  /** A table in use already. */
  readonly current?: ForwardingTable | null;
  /** Takes older versions too, and other rows of the same version: the operator said so. */
  readonly allowOlder?: boolean;
}

/** Half of it at least: nodes that failed together do not come back together. */
const RETRY_MS = 1_000;

/** Follows the forwarding table of one trafficset, for a node; through any absence of the store. Never throws. */
export function followTables(
  store: Store,
  trafficset: string,
  events: TableEvents,
  options: FollowTablesOptions = {},
): TableFollowing {
  return new TableFollowerOfStore(store, trafficset, events, options);
}

class TableFollowerOfStore implements TableFollowing {
  private current: ForwardingTable | null;
  private readonly allowOlder: boolean;
  private readonly head: string;
  private readonly following: { close(): void };
  /** The head told last that has not been looked at. */
  private wanted: Entry | null = null;
  private busy = false;
  private closed = false;
  private retry: NodeJS.Timeout | null = null;

  constructor(
    private readonly store: Store,
    private readonly trafficset: string,
    private readonly events: TableEvents,
    { current = null, allowOlder = false }: FollowTablesOptions,
  ) {
    this.current = current;
    this.allowOlder = allowOlder;
    this.head = TableKeys.head(trafficset);
    this.following = store.follow(this.head, {
      reset: ({ entries }) => {
        const entry = entries.find(({ key }) => key === this.head);
        if (entry === undefined) this.missing();
        else this.offer(entry);
      },
      changes: (changes) => {
        for (const change of changes) {
          if (change.type === 'put' && change.entry.key === this.head) this.offer(change.entry);
          if (change.type === 'delete' && change.key === this.head) this.missing();
        }
      },
      available: (available, why) => events.available?.(available, why),
    });
  }

  get version(): number {
    return this.current?.version ?? -1;
  }

  close(): void {
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    this.following.close();
  }

  private missing(): void {
    this.wanted = null;
    this.refuse('missing', `${this.store.description} has no table of trafficset ${this.trafficset} yet`);
  }

  /** One head is worked on at a time, and then the newest of those that came meanwhile. */
  private offer(entry: Entry): void {
    if (this.retry !== null) clearTimeout(this.retry);
    this.wanted = entry;
    if (!this.busy) void this.work();
  }

  private async work(): Promise<void> {
    this.busy = true;
    while (this.wanted !== null && !this.closed) {
      const entry = this.wanted;
      this.wanted = null;
      await this.take(entry);
    }
    this.busy = false;
  }

  private async take(entry: Entry): Promise<void> {
    const head = decodeRecord(tableHead, entry.value);
    if (head === null) {
      this.refuse('damaged', `${this.head} cannot be read: damaged, or written by a newer release`);
      return;
    }
    if (!this.allowOlder && !this.isNews(head)) return;
    if (this.current !== null && tableDigest(this.current) === head.sha256) return;
    try {
      const read = await readTable(this.store, this.trafficset, head, this.current, false);
      if (this.closed) return;
      this.current = read.table;
      this.events.table(read.table, { how: read.how, bytes: entry.value.length + read.bytes });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (!this.closed) await this.failed(entry, error);
    }
  }

  private isNews(head: TableHead): boolean {
    if (this.current === null || head.version > this.version) return true;
    if (head.version < this.version) {
      this.refuse(
        'older-version',
        `version ${head.version} of ${this.trafficset} in ${this.store.description} is older than version ` +
          `${this.version}, which is in use; publish a higher version, or restart the node to go back`,
      );
    } else if (tableDigest(this.current) !== head.sha256) {
      this.refuse(
        'same-version',
        `version ${head.version} of ${this.trafficset} is in use with other rows than ` +
          `${this.store.description} has; a changed table needs a higher version`,
      );
    }
    return false;
  }

  private async failed(entry: Entry, error: StoreError): Promise<void> {
    if (error.code !== 'damaged') {
      this.refuse('unreadable', error.message);
      this.tryAgain(entry);
      return;
    }
    // Perhaps it was only replaced and deleted while it was read: then there is another head.
    try {
      const now = await this.store.get(this.head);
      if (this.closed || this.wanted !== null) return;
      if (now === null || now.revision === entry.revision) this.refuse('damaged', error.message);
      else this.wanted = now;
    } catch {
      this.tryAgain(entry);
    }
  }

  private tryAgain(entry: Entry): void {
    if (this.wanted !== null || this.closed) return;
    this.retry = setTimeout(() => this.offer(entry), RETRY_MS * (0.5 + Math.random() / 2));
    this.retry.unref();
  }

  private refuse(reason: TableRefusal, message: string): void {
    if (!this.closed) this.events.refused(reason, message);
  }
}
