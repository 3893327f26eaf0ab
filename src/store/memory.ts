import { Follower } from './follower.js';
import { KeptLease } from './kept-lease.js';
import { Keyspace, type Operation, operationOf } from './keyspace.js';
import { checkTransaction } from './limits.js';
import {
  type Change,
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

/** What several {@link MemoryStore}s of one process share, as several clients share an etcd. */
export class MemoryServer {
  private keyspace = new Keyspace();
  private readonly clients = new Set<MemoryStore>();
  private readonly expiries = new Map<string, NodeJS.Timeout>();
  private lastLease = 0;

  /** One more client. */
  open(): MemoryStore {
    return new MemoryStore(this);
  }

  /** For tests: nobody reaches it. */
  stop(why = 'the memory store was stopped'): void {
    for (const client of this.clients) client.cutOff(why);
  }

  /** For tests: everybody reaches it again. */
  start(): void {
    for (const client of this.clients) client.reconnect();
  }

  /** For tests: everything is gone, leases too, and revisions begin anew. */
  loseData(): void {
    for (const timer of this.expiries.values()) clearTimeout(timer);
    this.expiries.clear();
    this.keyspace = new Keyspace();
    for (const client of this.clients) client.resetAll();
  }

  /** @internal */
  join(client: MemoryStore): void {
    this.clients.add(client);
  }

  /** @internal */
  leave(client: MemoryStore): void {
    this.clients.delete(client);
  }

  /** @internal */
  get state(): Keyspace {
    return this.keyspace;
  }

  /** @internal */
  commit(operation: Operation): number {
    if (!this.keyspace.changesBy(operation)) return this.keyspace.revision;
    const changes = this.keyspace.apply(operation);
    for (const client of this.clients) client.tell(changes, this.keyspace.revision);
    return this.keyspace.revision;
  }

  /** @internal */
  grant(seconds: number): string {
    const id = `${++this.lastLease}`;
    this.commit({ puts: [], deletes: [], lease: { type: 'grant', id, seconds } });
    this.renew(id);
    return id;
  }

  /** @internal @returns false when it has ended */
  renew(id: string): boolean {
    const lease = this.keyspace.leases.get(id);
    if (lease === undefined) return false;
    clearTimeout(this.expiries.get(id));
    const expiry = setTimeout(() => this.end(id), 1000 * lease.seconds);
    expiry.unref();
    this.expiries.set(id, expiry);
    return true;
  }

  /** @internal */
  end(id: string): void {
    clearTimeout(this.expiries.get(id));
    this.expiries.delete(id);
    if (this.keyspace.leases.has(id)) this.commit({ puts: [], deletes: [], lease: { type: 'end', id } });
  }
}

/** A store that lives in this process: for simulations and tests. Leases run by the process's timers. */
export class MemoryStore implements Store {
  readonly description = 'memory';
  private readonly followers = new Set<Follower>();
  private readonly leases = new Set<KeptLease>();
  private away: string | null = null;
  private closed = false;

  /** @param server what is shared with other clients; by default nobody shares it */
  constructor(readonly server = new MemoryServer()) {
    server.join(this);
  }

  async get(key: string): Promise<Entry | null> {
    this.reach();
    return this.server.state.get(key);
  }

  async list(prefix: string): Promise<Listing> {
    this.reach();
    return this.server.state.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    checkTransaction(transaction);
    this.reach();
    const { state } = this.server;
    if (!state.holds(transaction.compare ?? [])) return { done: false, revision: state.revision };
    const operation = operationOf(transaction);
    state.refuseEndedLease(operation);
    return { done: true, revision: this.server.commit(operation) };
  }

  follow(prefix: string, events: FollowEvents): Following {
    const follower = new Follower(prefix, events, (one) => this.followers.delete(one));
    this.followers.add(follower);
    if (this.away === null) follower.reset(this.server.state.list(prefix));
    else follower.availability(false, this.away);
    return follower;
  }

  async lease(seconds: number): Promise<Lease> {
    this.reach();
    const asked = performance.now();
    const id = this.server.grant(seconds);
    const terms = {
      id,
      seconds,
      renew: async () => {
        this.reach();
        return this.server.renew(id);
      },
      revoke: async () => {
        this.reach();
        this.server.end(id);
      },
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
    this.server.leave(this);
  }

  /** For tests: this client does not reach the store any more. Its leases run out. */
  cutOff(why = 'the memory store was cut off'): void {
    this.away = why;
    for (const follower of this.followers) follower.availability(false, why);
  }

  /** For tests: it reaches it again. */
  reconnect(): void {
    if (this.away === null) return;
    this.away = null;
    for (const follower of this.followers) follower.availability(true, '');
    this.resetAll();
  }

  /** @internal */
  resetAll(): void {
    if (this.away !== null) return;
    for (const follower of this.followers) follower.reset(this.server.state.list(follower.prefix));
  }

  /** @internal */
  tell(changes: readonly Change[], revision: number): void {
    if (this.away !== null) return;
    for (const follower of this.followers) follower.changes(changes, revision);
  }

  private reach(): void {
    if (this.closed) throw new StoreError('unavailable', 'the memory store was closed');
    if (this.away !== null) throw new StoreError('unavailable', this.away);
  }
}
