import { CompareResult, CompareTarget, EtcdLeaseInvalidError, type ICompare, type IRequestOp } from 'etcd3';
import { describeStore } from './address.js';
import { type EtcdAddress, EtcdClient } from './etcd-client.js';
import { EtcdFollow } from './etcd-follow.js';
import { Follower } from './follower.js';
import { KeptLease } from './kept-lease.js';
import type { Compare } from './keyspace.js';
import { checkTransaction } from './limits.js';
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

export interface EtcdStoreOptions {
  /** A call that has not been answered by then is given up. Default: 2000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 2_000;
/** Where nothing was heard of etcd for so long, it is asked; */
const SILENCE_MS = 700;
/** and after so long without an answer, it is away. */
const PROBE_MS = 1_200;
const PROBE_WHILE_AWAY_MS = 250;

/** A store in etcd, for more than one machine. */
export class EtcdStore implements Store {
  readonly description: string;
  private readonly client: EtcdClient;
  private readonly followers = new Map<Follower, EtcdFollow>();
  private readonly leases = new Set<KeptLease>();
  /** Of the last answer, by `performance.now()`. */
  private heardAt = performance.now();
  /** Why it is away; null when it is not. */
  private away: string | null = null;
  private timer: NodeJS.Timeout | null = null;
  private probing = false;
  private closed = false;

  constructor(address: EtcdAddress, { timeoutMs = TIMEOUT_MS }: EtcdStoreOptions = {}) {
    this.description = describeStore(address);
    this.client = new EtcdClient(this.description, address, timeoutMs, () => this.heard());
  }

  async get(key: string): Promise<Entry | null> {
    return this.client.get(key);
  }

  async list(prefix: string): Promise<Listing> {
    return this.client.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    checkTransaction(transaction);
    const { compare = [], puts = [], deletes = [] } = transaction;
    const success: IRequestOp[] = [
      ...puts.map(({ key, value, lease }) => ({
        request_put: {
          key: this.client.bytesOf(key),
          value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
          ...(lease === undefined ? {} : { lease: lease.id }),
        },
      })),
      ...deletes.map((key) => ({ request_delete_range: { key: this.client.bytesOf(key) } })),
    ];
    const answer = await this.client.txn({ compare: compare.map((one) => this.compareOf(one)), success });
    return { done: answer.succeeded, revision: Number(answer.header.revision) };
  }

  follow(prefix: string, events: FollowEvents): Following {
    const follower = new Follower(prefix, events, (one) => {
      this.followers.get(one)?.close();
      this.followers.delete(one);
    });
    if (this.away !== null) follower.availability(false, this.away);
    const follow = new EtcdFollow(
      this.client,
      follower,
      () => this.heard(),
      () => void this.probe(),
    );
    this.followers.set(follower, follow);
    this.watchOver();
    return follower;
  }

  async lease(seconds: number): Promise<Lease> {
    const asked = performance.now();
    const { leaseClient } = this.client.etcd;
    const { ID: id } = await this.client.read(() =>
      leaseClient.leaseGrant({ TTL: Math.ceil(seconds) }, this.client.options()),
    );
    const terms = {
      id,
      seconds,
      // No longer than a third of its time, so that there is another attempt.
      renew: () => this.keepAlive(id, Math.min(TIMEOUT_MS, (1000 * seconds) / 3)),
      revoke: async () => {
        try {
          await this.client.read(() => leaseClient.leaseRevoke({ ID: id }, this.client.options()));
        } catch (error) {
          if (!(error instanceof StoreError && error.code === 'lease-lost')) throw error;
        }
      },
    };
    const lease = new KeptLease(terms, asked, (one) => this.leases.delete(one));
    this.leases.add(lease);
    return lease;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const follower of [...this.followers.keys()]) follower.close();
    await Promise.all([...this.leases].map((lease) => lease.revoke().catch(() => {})));
    if (this.timer !== null) clearTimeout(this.timer);
    this.client.close();
  }

  private compareOf(one: Compare): ICompare {
    const key = this.client.bytesOf(one.key);
    const result = CompareResult.Equal;
    if ('revision' in one) return { key, result, target: CompareTarget.Mod, mod_revision: one.revision };
    return { key, result, target: CompareTarget.Create, create_revision: one.created };
  }

  /** @returns false when it has ended; rejects when etcd does not say */
  private keepAlive(id: string, timeoutMs: number): Promise<boolean> {
    return this.client.read(async () => {
      const stream = await this.client.etcd.leaseClient.leaseKeepAlive(this.client.options(timeoutMs));
      try {
        return await new Promise<boolean>((resolve, reject) => {
          stream.on('data', ({ TTL }) => resolve(Number(TTL) > 0));
          stream.on('error', (error) =>
            error instanceof EtcdLeaseInvalidError ? resolve(false) : reject(error),
          );
          stream.on('end', () => reject(new Error('the stream ended')));
          stream.write({ ID: id });
        });
      } finally {
        stream.on('error', () => {});
        stream.cancel();
      }
    });
  }

  private heard(): void {
    this.heardAt = performance.now();
    if (this.away === null) return;
    this.away = null;
    for (const follower of this.followers.keys()) follower.availability(true, '');
  }

  /** While somebody follows, it is known within two seconds whether etcd is there. */
  private watchOver(): void {
    if (this.timer !== null) return;
    const pause = this.away === null ? SILENCE_MS / 4 : PROBE_WHILE_AWAY_MS;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.closed || this.followers.size === 0) return;
      if (performance.now() - this.heardAt > SILENCE_MS) void this.probe();
      this.watchOver();
    }, pause);
  }

  private async probe(): Promise<void> {
    if (this.probing || this.closed) return;
    this.probing = true;
    const asked = performance.now();
    try {
      const key = this.client.bytesOf('');
      const request = { key, count_only: true };
      await this.client.read(() => this.client.etcd.kv.range(request, this.client.options(PROBE_MS)));
    } catch (error) {
      // Another call may have been answered meanwhile.
      if (this.heardAt < asked) this.lost(error instanceof Error ? error.message : String(error));
    } finally {
      this.probing = false;
    }
  }

  private lost(why: string): void {
    if (this.closed || this.away !== null) return;
    this.away = why;
    for (const follower of this.followers.keys()) follower.availability(false, why);
  }
}
