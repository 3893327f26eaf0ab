import { type Change, type Entry, type Listing, StoreError, type Transaction } from './store.js';

/** What one transaction does, with leases by name: what a journal holds. */
export interface Operation {
  readonly puts: readonly {
    readonly key: string;
    readonly value: Uint8Array;
    readonly lease: string | null;
  }[];
  readonly deletes: readonly string[];
  /**
   * - `grant`: it begins
   * - `renew`: it was late, and goes on all the same; who wanted to end it has to look again
   * - `end`: it is over, and its keys go
   */
  readonly lease?:
    | { readonly type: 'grant'; readonly id: string; readonly seconds: number }
    | { readonly type: 'renew' | 'end'; readonly id: string };
}

/** What a transaction does when its comparisons hold; values are copied, since their owner may write into them. */
export function operationOf({ puts = [], deletes = [] }: Transaction): Operation {
  return {
    puts: puts.map(({ key, value, lease }) => ({
      key,
      value: Uint8Array.from(value),
      lease: lease?.id ?? null,
    })),
    deletes,
  };
}

/** An entry, and the lease that it goes with. */
export interface KeptEntry extends Entry {
  readonly lease: string | null;
}

/** A lease that has not ended. */
export interface LiveLease {
  readonly seconds: number;
  /** Revision at which it was granted or renewed by a transaction. */
  readonly epoch: number;
}

export type Compare = NonNullable<Transaction['compare']>[number];

/** The keys of a store as they are at one revision: the part that memory and file stores have in common. No I/O. */
export class Keyspace {
  /** Of the transaction applied last, 0 before the first. */
  revision = 0;
  readonly entries = new Map<string, KeptEntry>();
  readonly leases = new Map<string, LiveLease>();
  /** Keys by lease. */
  private readonly held = new Map<string, Set<string>>();

  get(key: string): Entry | null {
    const kept = this.entries.get(key);
    return kept === undefined ? null : entryOf(kept);
  }

  list(prefix: string): Listing {
    const found = [...this.entries.values()].filter(({ key }) => key.startsWith(prefix));
    found.sort((a, b) => compareKeys(a.key, b.key));
    return { revision: this.revision, entries: found.map(entryOf) };
  }

  /** @throws StoreError `lease-lost` for a put under a lease that has ended */
  refuseEndedLease({ puts }: Operation): void {
    const put = puts.find(({ lease }) => lease !== null && !this.leases.has(lease));
    if (put === undefined) return;
    throw new StoreError(
      'lease-lost',
      `${put.key} was not written: the lease that it was to go with has ended`,
    );
  }

  holds(compare: readonly Compare[]): boolean {
    return compare.every((one) => {
      const entry = this.entries.get(one.key);
      if ('revision' in one) return (entry?.revision ?? 0) === one.revision;
      return (entry?.created ?? 0) === one.created;
    });
  }

  /** Whether the operation would change anything: only then it takes a revision. */
  changesBy({ puts, deletes, lease }: Operation): boolean {
    return puts.length > 0 || lease !== undefined || deletes.some((key) => this.entries.has(key));
  }

  /** Applies it as the next revision. @returns what it did to the keys */
  apply({ puts, deletes, lease }: Operation): Change[] {
    const revision = this.revision + 1;
    this.revision = revision;
    const changes: Change[] = [];
    for (const { key, value, lease: id } of puts) {
      const created = this.entries.get(key)?.created ?? revision;
      this.put({ key, value, revision, created, lease: id });
      changes.push({ type: 'put', entry: { key, value, revision, created } });
    }
    const gone = [...deletes];
    if (lease?.type === 'grant') this.leases.set(lease.id, { seconds: lease.seconds, epoch: revision });
    if (lease?.type === 'renew') {
      const live = this.leases.get(lease.id);
      if (live !== undefined) this.leases.set(lease.id, { seconds: live.seconds, epoch: revision });
    }
    if (lease?.type === 'end') {
      this.leases.delete(lease.id);
      gone.push(...[...(this.held.get(lease.id) ?? [])].sort(compareKeys));
    }
    for (const key of gone) {
      if (this.remove(key)) changes.push({ type: 'delete', key, revision });
    }
    return changes;
  }

  /** Puts an entry as it is, with its revisions. */
  put(entry: KeptEntry): void {
    this.remove(entry.key);
    this.entries.set(entry.key, entry);
    if (entry.lease === null) return;
    const keys = this.held.get(entry.lease);
    if (keys === undefined) this.held.set(entry.lease, new Set([entry.key]));
    else keys.add(entry.key);
  }

  private remove(key: string): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.entries.delete(key);
    if (entry.lease !== null) {
      const keys = this.held.get(entry.lease);
      keys?.delete(key);
      if (keys?.size === 0) this.held.delete(entry.lease);
    }
    return true;
  }
}

/** By their UTF-8 bytes, as etcd does it; for the names we have, code units give the same order. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function entryOf({ key, value, revision, created }: KeptEntry): Entry {
  return { key, value, revision, created };
}
