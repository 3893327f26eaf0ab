import type { Logger } from 'pino';
import { encodeRecord, Keys, type StatusRecord } from '../store/records.js';
import { type Store, StoreError } from '../store/store.js';
import type { Clock } from './clock.js';
import type { Term } from './leadership.js';

/** What changes often, such as loads, is written no more often than this. */
const AT_MOST_EVERY_MS = 500;

/** Writes the status record when it has changed, while a term lasts. Nothing depends on it: failures are only logged. */
export class StatusWriter {
  private written = '';
  private cancel: (() => void) | null = null;
  private lastAt = Number.NEGATIVE_INFINITY;
  /** Changed again while a write was on its way. */
  private changed = false;
  private closed = false;

  constructor(
    private readonly store: Store,
    private readonly term: Term,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly status: () => StatusRecord,
  ) {}

  close(): void {
    this.closed = true;
    this.cancel?.();
  }

  /** Something in it may have changed. */
  soon(): void {
    this.changed = true;
    if (this.closed || this.cancel !== null) return;
    const wait = Math.max(5, this.lastAt + AT_MOST_EVERY_MS - this.clock.now());
    this.cancel = this.clock.after(wait, () => void this.write());
  }

  private async write(): Promise<void> {
    this.lastAt = this.clock.now();
    this.changed = false;
    const value = encodeRecord(this.status());
    const text = Buffer.from(value).toString('base64');
    try {
      if (text !== this.written && this.term.valid) {
        const { done } = await this.store.transact({
          compare: [this.term.guard],
          puts: [{ key: Keys.status, value }],
        });
        if (done) this.written = text;
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.log.debug({ code: error.code }, `status: ${error.message}`);
      this.changed = true;
    }
    this.cancel = null;
    if (this.changed) this.soon();
  }
}
