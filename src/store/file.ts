import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { fileStoreError } from './file-errors.js';
import { Journal } from './file-journal.js';
import { createLeaseFile, monotonic, readLeaseFile, removeLeaseFile, touchLeaseFile } from './file-lease.js';
import type { JournalEntry } from './file-record.js';
import { Follower } from './follower.js';
import { KeptLease } from './kept-lease.js';
import { type Compare, Keyspace, type Operation, operationOf } from './keyspace.js';
import { checkTransaction } from './limits.js';
import { Keys } from './records.js';
import {
  type Entry,
  type FollowEvents,
  type Following,
  type Lease,
  type Listing,
  type Store,
  StoreError,
  type Transaction,
  type TransactionResult,
} from './store.js';

/** Changes are told by the kernel; this is for file systems that do not, and finds out whether the directory is there. */
const POLL_MS = 500;
const POLL_WITHOUT_WATCH_MS = 50;

export interface FileStoreOptions {
  /** Transactions between two snapshots. */
  readonly snapshotEvery?: number;
}

/**
 * A store in a directory, for all processes of one machine: the embedded default. Each process has all of it in memory,
 * and reads what others have appended to the journal (see `file-journal.ts`) before it answers.
 *
 * File operations are done at once, not in the background: they are small, and so nothing can come in between.
 */
export class FileStore implements Store {
  readonly description: string;
  private readonly journal: Journal;
  private keyspace = new Keyspace();
  /** Of the journal file of our revision. */
  private stamp: string | null = null;
  private loaded = false;
  /** Revisions of which it is not known whether they are on the disk. */
  private unsynced: number[] = [];
  private readonly followers = new Set<Follower>();
  /** Those that have not been told anything yet. */
  private readonly newcomers = new Set<Follower>();
  private readonly leases = new Set<KeptLease>();
  /** By lease: when it ends if nobody has renewed it, by {@link monotonic}. */
  private readonly due = new Map<string, number>();
  private watcher: FSWatcher | null = null;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  private constructor(
    readonly directory: string,
    options: FileStoreOptions,
  ) {
    this.description = `file:${directory}`;
    this.journal = new Journal(directory, options.snapshotEvery);
  }

  /** @throws StoreError `unwritable` when the directory cannot be made, `damaged` when it cannot be read */
  static open(directory: string, options: FileStoreOptions = {}): FileStore {
    const store = new FileStore(directory, options);
    try {
      mkdirSync(directory, { recursive: true });
      store.refresh();
      store.journal.clean(store.keyspace);
    } catch (error) {
      // A process that ends with this must not be kept alive by it.
      store.watcher?.close();
      throw fileStoreError(directory, error, true);
    }
    store.tick();
    return store;
  }

  async get(key: string): Promise<Entry | null> {
    this.reach();
    return this.keyspace.get(key);
  }

  async list(prefix: string): Promise<Listing> {
    this.reach();
    return this.keyspace.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    checkTransaction(transaction);
    const operation = operationOf(transaction);
    return this.commit(operation, transaction.compare, () => {
      this.keyspace.refuseEndedLease(operation);
      return true;
    });
  }

  follow(prefix: string, events: FollowEvents): Following {
    const follower = new Follower(prefix, events, (one) => {
      this.followers.delete(one);
      this.newcomers.delete(one);
    });
    this.followers.add(follower);
    this.newcomers.add(follower);
    this.look();
    return follower;
  }

  async lease(seconds: number): Promise<Lease> {
    this.reach();
    const asked = performance.now();
    let renewedAt = monotonic();
    const id = this.attempt(() => createLeaseFile(this.journal, renewedAt));
    this.commit(leaseOperation({ type: 'grant', id, seconds }));
    const terms = {
      id,
      seconds,
      renew: async () => {
        const last = renewedAt;
        renewedAt = monotonic();
        return this.renew(id, seconds, last, renewedAt);
      },
      revoke: async () => this.endLease(id, () => true),
    };
    const lease = new KeptLease(terms, asked, (one) => this.leases.delete(one));
    this.leases.add(lease);
    return lease;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    for (const follower of [...this.followers]) follower.close();
    for (const lease of [...this.leases]) await lease.revoke().catch(() => {});
    this.closed = true;
    this.watcher?.close();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  /** Reads what is new before anything is answered. @throws StoreError */
  private reach(): void {
    if (this.closed) throw new StoreError('unavailable', `the store ${this.directory} was closed`);
    try {
      this.refresh();
    } catch (error) {
      const why = fileStoreError(this.directory, error, false);
      this.tellAway(why);
      throw why;
    }
    this.tellBack();
  }

  private attempt<Value>(write: () => Value): Value {
    try {
      return write();
    } catch (error) {
      throw fileStoreError(this.directory, error, true);
    }
  }

  /** @param allowed asked whenever something new was read */
  private commit(
    operation: Operation,
    compare: readonly Compare[] = [],
    allowed: () => boolean = () => true,
  ): TransactionResult {
    const durable = !isReport(operation);
    for (;;) {
      this.reach();
      const { keyspace } = this;
      const { revision } = keyspace;
      if (!keyspace.holds(compare) || !allowed()) return { done: false, revision };
      if (!keyspace.changesBy(operation)) return { done: true, revision };
      const entry = { operation, durable };
      if (!this.attempt(() => this.journal.append(revision + 1, entry, this.unsynced))) continue;
      this.take(entry);
      this.stamp = this.journal.stamp(revision + 1);
      this.compact();
      return { done: true, revision: revision + 1 };
    }
  }

  /** Snapshots spare time and space; that one could not be made is no failure of the transaction before it. */
  private compact(): void {
    try {
      this.journal.compact(this.keyspace);
    } catch (error) {
      if (!(fileStoreError(this.directory, error, true) instanceof StoreError)) throw error;
    }
  }

  /** Reads on in the journal; from the newest snapshot where it does not lead on. Tells the followers. */
  private refresh(): void {
    this.journal.prepare();
    for (;;) {
      const { revision } = this.keyspace;
      if (!this.loaded || this.journal.floor() > revision || this.journal.stamp(revision) !== this.stamp) {
        this.reload();
      } else if (this.readOn()) {
        return;
      }
    }
  }

  private reload(): void {
    this.keyspace = this.journal.load();
    this.stamp = this.journal.stamp(this.keyspace.revision);
    this.loaded = true;
    this.unsynced = [];
    this.due.clear();
    this.watchAnew();
    for (const follower of this.followers) this.newcomers.add(follower);
  }

  /** @returns false when what was read cannot be trusted: others have meanwhile left it behind */
  private readOn(): boolean {
    const { revision } = this.keyspace;
    const read: JournalEntry[] = [];
    let damage: unknown;
    try {
      for (;;) {
        const entry = this.journal.read(revision + 1 + read.length);
        if (entry === null) break;
        read.push(entry);
      }
    } catch (error) {
      damage = error;
    }
    const stamp = this.journal.stamp(revision + read.length);
    if (this.journal.floor() > revision) return false;
    for (const entry of read) this.take(entry);
    if (read.length > 0) this.stamp = stamp;
    for (const follower of this.newcomers) follower.reset(this.keyspace.list(follower.prefix));
    this.newcomers.clear();
    if (damage !== undefined) throw damage;
    return true;
  }

  private take({ operation, durable }: JournalEntry): void {
    const changes = this.keyspace.apply(operation);
    const { revision } = this.keyspace;
    if (durable) this.unsynced = [];
    else this.unsynced.push(revision);
    for (const follower of this.followers) {
      if (!this.newcomers.has(follower)) follower.changes(changes, revision);
    }
  }

  private renew(id: string, seconds: number, last: number, now: number): boolean {
    this.reach();
    if (!this.keyspace.leases.has(id)) return false;
    if (!this.attempt(() => touchLeaseFile(this.journal, id, now))) return false;
    if (monotonic() < last + 1000 * seconds) return true;
    // Perhaps somebody is ending it.
    const renewal = leaseOperation({ type: 'renew', id });
    return this.commit(renewal, [], () => this.keyspace.leases.has(id)).done;
  }

  /** Ends those that nobody keeps up. */
  private endLeases(): void {
    for (const id of this.due.keys()) if (!this.keyspace.leases.has(id)) this.due.delete(id);
    for (const [id, { seconds, epoch }] of this.keyspace.leases) {
      // The clock before the file: see there.
      const now = monotonic();
      if (now < (this.due.get(id) ?? 0)) continue;
      const renewed = readLeaseFile(this.journal, id);
      const due = renewed === null ? now : renewed + 1000 * seconds;
      this.due.set(id, due);
      if (now >= due) this.endLease(id, () => this.keyspace.leases.get(id)?.epoch === epoch);
    }
  }

  private endLease(id: string, allowed: () => boolean): void {
    const end = leaseOperation({ type: 'end', id });
    const { done } = this.commit(end, [], () => this.keyspace.leases.has(id) && allowed());
    if (done) removeLeaseFile(this.journal, id);
  }

  private tick(): void {
    this.look();
    if (this.closed) return;
    const poll = this.watcher === null ? POLL_WITHOUT_WATCH_MS : POLL_MS;
    const nextDue = Math.min(...this.due.values()) - monotonic();
    // Ending a lease may have failed: not more often than is useful.
    this.timer = setTimeout(() => this.tick(), Math.max(20, Math.min(poll, nextDue + 1)));
  }

  /** Reads what is new, for those who follow. */
  private look(): void {
    if (this.closed) return;
    try {
      this.reach();
      this.endLeases();
    } catch (error) {
      // Told to the followers; the next look tries again. What is no fault of the store is ours.
      if (!(fileStoreError(this.directory, error, false) instanceof StoreError)) throw error;
    }
  }

  private watchAnew(): void {
    this.watcher?.close();
    try {
      this.watcher = watch(join(this.directory, 'journal'), () => this.look());
      this.watcher.on('error', () => {
        this.watcher?.close();
        this.watcher = null;
      });
    } catch {
      // Out of watches: looking often has to do.
      this.watcher = null;
    }
  }

  private tellAway(why: Error): void {
    for (const follower of this.followers) follower.availability(false, why.message);
  }

  private tellBack(): void {
    for (const follower of this.followers) follower.availability(true, '');
  }
}

function leaseOperation(lease: NonNullable<Operation['lease']>): Operation {
  return { puts: [], deletes: [], lease };
}

/** What only says how things are, and is said again: losing it in a power cut is no loss. */
function isReport({ puts, deletes, lease }: Operation): boolean {
  if (lease !== undefined) return true;
  const reports = puts.every(
    ({ key, lease }) => lease !== null && (key.startsWith(Keys.nodes) || key.startsWith(Keys.health)),
  );
  return reports && deletes.length === 0;
}
