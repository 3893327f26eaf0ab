import { type Lease, type Store, StoreError } from '../store/store.js';
import type { StoreContact } from './store-contact.js';

/** After a write that failed; short, as it is also how soon a store that came back has our records. */
const RETRY_MS = 250;

/**
 * What a node says of itself in the store: records that go when it does. Kept up through any absence of the store: a
 * lease that was lost is replaced, and everything is written again under the new one.
 */
export class LeasedRecords {
  private readonly records = new Map<string, { readonly value: Uint8Array; written: boolean }>();
  private lease: Lease | null = null;
  private working: Promise<void> | null = null;
  private retry: NodeJS.Timeout | null = null;
  private closed = false;

  /** @param seconds after which the records go when this process has died */
  constructor(
    private readonly store: Store,
    private readonly seconds: number,
    private readonly contact: StoreContact,
  ) {}

  /** Written as soon as the store takes it; only the newest value of a key is. */
  put(key: string, value: Uint8Array): void {
    if (this.closed) return;
    this.records.set(key, { value, written: false });
    this.work();
  }

  /** Gives up the lease, with the records. Never rejects: without the store it runs out. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    await this.working;
    await this.lease?.revoke().catch(() => undefined);
    this.lease = null;
  }

  /** Resolves when nothing is being written: all records are, or the store is away. */
  async settled(): Promise<void> {
    await this.working;
  }

  private work(): void {
    this.working ??= this.writeAll().finally(() => {
      this.working = null;
    });
  }

  private async writeAll(): Promise<void> {
    try {
      for (;;) {
        const lease = await this.leaseNow();
        const waiting = [...this.records].filter(([, { written }]) => !written);
        if (waiting.length === 0) return;
        await this.store.transact({ puts: waiting.map(([key, { value }]) => ({ key, value, lease })) });
        this.contact.heard('writes');
        // What was put in the meantime has an entry of its own.
        if (this.lease === lease) for (const [, record] of waiting) record.written = true;
      }
    } catch (error) {
      this.failed(error);
    }
  }

  private async leaseNow(): Promise<Lease> {
    if (this.lease?.valid === true) return this.lease;
    this.forget();
    const lease = await this.store.lease(this.seconds);
    this.contact.heard('writes');
    this.lease = lease;
    void lease.lost.then(() => {
      if (this.lease !== lease || this.closed) return;
      this.forget();
      this.work();
    });
    return lease;
  }

  /** Nothing that was written before counts under another lease. */
  private forget(): void {
    this.lease = null;
    for (const record of this.records.values()) record.written = false;
  }

  private failed(error: unknown): void {
    // It answered: that it knows the lease no more. Another one is asked for.
    if (error instanceof StoreError && error.code === 'lease-lost') this.forget();
    else this.contact.failed('writes', error instanceof Error ? error.message : String(error));
    if (this.closed || this.retry !== null) return;
    this.retry = setTimeout(() => {
      this.retry = null;
      this.work();
    }, RETRY_MS);
    this.retry.unref();
  }
}
