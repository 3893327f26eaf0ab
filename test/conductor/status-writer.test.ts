import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Clock } from '../../src/conductor/clock.js';
import type { Term } from '../../src/conductor/leadership.js';
import { StatusWriter } from '../../src/conductor/status-writer.js';
import { MemoryStore } from '../../src/store/memory.js';
import { decodeRecord, Keys, type StatusRecord, statusRecord } from '../../src/store/records.js';
import type { Transaction, TransactionResult } from '../../src/store/store.js';
import { StoreError } from '../../src/store/store.js';
import { waitUntil } from '../../src/testbed/wait.js';

/** A store whose writes end when the test says so. */
class SlowStore extends MemoryStore {
  readonly pending: (() => void)[] = [];
  failNext = false;

  override async transact(transaction: Transaction): Promise<TransactionResult> {
    if (this.failNext) {
      this.failNext = false;
      throw new StoreError('unavailable', 'away for a moment');
    }
    await new Promise<void>((resolve) => this.pending.push(resolve));
    return super.transact(transaction);
  }
}

/** Time that the test turns, one timer after the other. */
class TurnedClock implements Clock {
  private time = 0;
  private readonly timers = new Set<{ at: number; call: () => void }>();
  readonly now = () => this.time;
  readonly unix = () => this.time;

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.time + milliseconds, call };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** @returns whether there was anything to wait for */
  turn(): boolean {
    const [next] = [...this.timers].sort((a, b) => a.at - b.at);
    if (next === undefined) return false;
    this.timers.delete(next);
    this.time = next.at;
    next.call();
    return true;
  }
}

let store: SlowStore;
let clock: TurnedClock;
let writer: StatusWriter;
let status: StatusRecord;

const statusAt = (followed: number): StatusRecord => ({
  conductor: 'one',
  followed,
  wideProblem: null,
  servers: {},
  trafficsets: {},
});

async function written(): Promise<number | null> {
  const entry = await store.get(Keys.status);
  return entry === null ? null : (decodeRecord(statusRecord, entry.value)?.followed ?? null);
}

beforeEach(async () => {
  store = new SlowStore();
  clock = new TurnedClock();
  const lease = await store.lease(60);
  // A write of any kind, to have a key that is there.
  const made = store.transact({ puts: [{ key: Keys.leader, value: new Uint8Array(), lease }] });
  store.pending.shift()?.();
  const { revision } = await made;
  const term: Term = { guard: { key: Keys.leader, created: revision }, valid: true, lease };
  writer = new StatusWriter(store, term, clock, pino({ enabled: false }), () => status);
});

afterEach(async () => {
  writer.close();
  await store.close();
});

const untilWritten = (followed: number) =>
  waitUntil(`status ${followed} in the store`, async () => (await written()) === followed);

it('writes again what has changed while it wrote', async () => {
  status = statusAt(1);
  writer.soon();
  expect(clock.turn()).toBe(true);
  await waitUntil('the write to begin', () => store.pending.length === 1);
  status = statusAt(2);
  writer.soon();
  expect(clock.turn()).toBe(false);
  store.pending.shift()?.();
  await untilWritten(1);
  await waitUntil('the next write to be due', () => clock.turn());
  await waitUntil('the next write to begin', () => store.pending.length === 1);
  store.pending.shift()?.();
  await untilWritten(2);
  expect(clock.turn()).toBe(false);
});

it('tries again what the store did not take', async () => {
  status = statusAt(1);
  store.failNext = true;
  writer.soon();
  expect(clock.turn()).toBe(true);
  await waitUntil('the second try', () => clock.turn());
  await waitUntil('the write to begin', () => store.pending.length === 1);
  store.pending.shift()?.();
  await untilWritten(1);
});
