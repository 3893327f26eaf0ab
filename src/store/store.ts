/**
 * Where tables and state live: keys with bytes behind them, in an order that everybody sees alike. Whoever keeps them
 * (a directory, etcd) is behind this interface, and one contract test holds for all.
 *
 * Keys are paths without a leading slash (`tables/web/head`), values are bytes. Every transaction that changes anything
 * takes the next revision, one number for the whole store, from 1.
 */

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Of the transaction that wrote this value. */
  readonly revision: number;
  /** Of the transaction since which the key exists without a break. */
  readonly created: number;
}

export interface Listing {
  /** Of the store when this was read. */
  readonly revision: number;
  /** In ascending order of their keys. */
  readonly entries: readonly Entry[];
}

export interface Transaction {
  /**
   * All must hold, or nothing is done: the key's {@link Entry.revision} (`revision`) or {@link Entry.created}
   * (`created`) is this number; 0 means that there is no such key.
   */
  readonly compare?: readonly (
    | { readonly key: string; readonly revision: number }
    | { readonly key: string; readonly created: number }
  )[];
  readonly puts?: readonly Put[];
  /** Keys, each alone. */
  readonly deletes?: readonly string[];
}

export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  /** The key goes with this lease. Default: it stays until it is deleted. */
  readonly lease?: Lease;
}

export type TransactionResult =
  | { readonly done: true; readonly revision: number }
  /** A comparison did not hold; nothing was changed. */
  | { readonly done: false; readonly revision: number };

/**
 * A promise to be alive: kept up on its own for as long as the process runs and reaches the store, and at its end every
 * key that was put with it is deleted.
 */
export interface Lease {
  readonly id: string;
  /** Resolves when the lease is known to be lost (it ran out while the store was away, or was revoked). Never rejects. */
  readonly lost: Promise<void>;
  /** Whether it may still be counted on: false from the moment at which, by our own clock, it may have run out. */
  readonly valid: boolean;
  /** Ends it now, with its keys. @throws StoreError when the store is away; it runs out then */
  revoke(): Promise<void>;
}

export type Change =
  | { readonly type: 'put'; readonly entry: Entry }
  | { readonly type: 'delete'; readonly key: string; readonly revision: number };

export interface FollowEvents {
  /**
   * All there is under the prefix: at first, and again whenever single changes could have been missed (the store was
   * away for long, compacted its past, or lost its data).
   */
  reset(listing: Listing): void;
  /** What one transaction, or several in a row, did; in order. */
  changes(changes: readonly Change[], revision: number): void;
  /** The store went away or came back; what was told before stays the last known. Called only when it changes. */
  available(available: boolean, why: string): void;
}

export interface Following {
  close(): void;
}

export interface Store {
  /** For people: `file:/var/lib/twohop/store`, `etcd:http://10.0.0.1:2379/twohop`. */
  readonly description: string;
  /** @returns null when there is no such key. @throws StoreError */
  get(key: string): Promise<Entry | null>;
  /** Everything whose key begins with the prefix. @throws StoreError */
  list(prefix: string): Promise<Listing>;
  /** At once or not at all. @throws StoreError; with code `uncertain` when it is not known whether it was done */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** Follows a prefix until closed, through any absence of the store. Never throws. */
  follow(prefix: string, events: FollowEvents): Following;
  /** @param seconds after which it ends when nobody keeps it up, at least 1. @throws StoreError */
  lease(seconds: number): Promise<Lease>;
  /** Ends what is followed, and gives up the leases (their keys go). */
  close(): Promise<void>;
}

export type StoreErrorCode =
  /** It cannot be reached, or does not answer in time. */
  | 'unavailable'
  /** It may have been done. */
  | 'uncertain'
  /** What it holds cannot be read: truncated, overwritten. */
  | 'damaged'
  /** No space left, read-only, no permission. */
  | 'unwritable'
  /** A put names a lease that has ended; nothing was done. */
  | 'lease-lost'
  /** Too big for this store. */
  | 'too-big'
  /** The address of a store is wrong. */
  | 'bad-address';

/** What went wrong with a store; the message says what to do. */
export class StoreError extends Error {
  constructor(
    readonly code: StoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StoreError';
  }
}

/** Largest value that every store takes, in bytes: bigger things are cut into pieces (see `pieces.ts`). */
export const MAX_VALUE = 512 * 1024;
