import { randomInt } from 'node:crypto';
import { type SocketLookup, SocketQueries, SocketState, sameQuery } from '../path/sockets.js';
import { IP_PROTOCOL_TCP } from '../wire/ip.js';
import { monotonicMilliseconds } from './clock.js';
import { DestroyEvents } from './destroy-events.js';
import { KernelSockets } from './sock-diag.js';
import type { DurableLookup, SocketEnds } from './socket-ends.js';
import { ABSENT, SocketTable } from './socket-table.js';
import { BUSY, SynEpochs } from './syn-epochs.js';
import { SynMemory } from './syn-memory.js';
import { copyQuery, hashTuple } from './tuple.js';

/** What the caches of all threads share. Made once, on the main thread; survives being posted to workers. */
export interface SharedSocketState {
  readonly seed: number;
  readonly epochs: SharedArrayBuffer;
  readonly syns: SharedArrayBuffer;
}

export interface CachedSocketsOptions {
  readonly shared: SharedSocketState;
  /** Without it, sockets found are not remembered. */
  readonly ends?: SocketEnds;
  /** Flows remembered by this thread: a power of two, 64 bytes each. Default 65536. */
  readonly entries?: number;
  /** No answer is older than this, in milliseconds. Default 1000. */
  readonly lifetime?: number;
  /** Milliseconds, monotonic, the same for all threads. */
  readonly clock?: () => number;
}

/** Only ever growing. */
export interface CacheCounters {
  /** TCP queries answered from memory. */
  hits: number;
  /** TCP queries that were not. */
  misses: number;
  /** Entries overwritten by another flow. */
  evictions: number;
  /** Questions the kernel was asked, UDP included; a flow asked for twice in a batch is asked once. */
  kernelLookups: number;
}

const DEFAULT_ENTRIES = 1 << 16;
const DEFAULT_LIFETIME = 1000;

/** {@link CachedSockets.remembered} has nothing to say. */
const UNKNOWN = -1;

/** Slots for questions of one batch that are the same. */
const TWIN_MASK = 255;
/** Rounds of announcements taken before one resolve; with more waiting it is cheaper to forget everything. */
const MAX_ROUNDS = 64;

/**
 * A cache of TCP lookups that gives no answer the kernel would not give, and the memory of SYNs for SYN cookies.
 *
 * - "Here" stays true until the socket ends, which `ends` announces; announcements are taken before one is relied on.
 * - "Not here" (no socket, or only a listener) stays true until a SYN of the tuple reaches the kernel. All SYNs of
 *   all threads are counted in shared {@link SynEpochs}; the epoch is read before the kernel is asked.
 * - Both are forgotten after `lifetime` all the same. It bounds what the rules cannot see: sockets that are reset but
 *   kept open by their program, connections opened from a VIP.
 *
 * UDP is not remembered: a UDP socket can be connected and disconnected without any event. See
 * native-notes/socket-lookup.md for the whole argument.
 */
export class CachedSockets implements SocketLookup {
  readonly counters: CacheCounters = { hits: 0, misses: 0, evictions: 0, kernelLookups: 0 };
  private readonly inner: DurableLookup;
  private readonly ends: SocketEnds | null;
  private readonly lifetime: number;
  private readonly clock: () => number;
  private readonly seed: number;
  private readonly epochs: SynEpochs;
  private readonly syns: SynMemory;
  private readonly table: SocketTable;
  /** Grows with every loss of announcements; entries with an older count are void. */
  private flushes = 0;
  private endsTaken = false;

  /** The questions of this batch that go to the kernel, and what was noted with each. */
  private asked = new SocketQueries(0);
  private askedHash = new Int32Array(0);
  private askedEpoch = new Int32Array(0);
  /** Per query: index into `asked`, or -1. */
  private questionOf = new Int32Array(0);
  private readonly twin = new Int32Array(TWIN_MASK + 1);
  private readonly twinBatch = new Int32Array(TWIN_MASK + 1);
  private batch = 0;

  /** Hashes of SYNs that have begun and not finished. */
  private begun = new Int32Array(256);
  private begunCount = 0;

  constructor(inner: DurableLookup, options: CachedSocketsOptions) {
    const entries = options.entries ?? DEFAULT_ENTRIES;
    checkPowerOfTwo(entries);
    this.inner = inner;
    this.ends = options.ends ?? null;
    this.lifetime = options.lifetime ?? DEFAULT_LIFETIME;
    this.clock = options.clock ?? monotonicMilliseconds;
    this.seed = options.shared.seed;
    this.epochs = new SynEpochs(options.shared.epochs);
    this.syns = new SynMemory(options.shared.syns);
    this.table = new SocketTable(entries, this.counters);
  }

  /** For a data-plane thread: the kernel's sockets and the announcements of their ends, behind a cache. */
  static overKernel(shared: SharedSocketState): CachedSockets {
    const inner = KernelSockets.open();
    try {
      return new CachedSockets(inner, { shared, ends: DestroyEvents.open() });
    } catch (error) {
      inner.close();
      throw error;
    }
  }

  /** For the main thread. @param entries a power of two; 24 bytes each */
  static sharedState(entries: number = DEFAULT_ENTRIES): SharedSocketState {
    checkPowerOfTwo(entries);
    return {
      seed: randomInt(0x1_0000_0000) | 0,
      epochs: SynEpochs.allocate(entries),
      syns: SynMemory.allocate(entries),
    };
  }

  resolve(queries: SocketQueries): void {
    const count = queries.count;
    const now = this.clock() | 0;
    this.prepare(queries.capacity);
    const { asked, counters } = this;
    for (let i = 0; i < count; i++) {
      const hash = hashTuple(queries, i, this.seed);
      if (queries.protocol[i] === IP_PROTOCOL_TCP) {
        const state = this.remembered(queries, i, hash, now);
        if (state !== UNKNOWN) {
          queries.state[i] = state;
          this.questionOf[i] = -1;
          counters.hits++;
          continue;
        }
        counters.misses++;
      }
      this.questionOf[i] = this.question(queries, i, hash);
    }
    if (asked.count === 0) return;
    counters.kernelLookups += asked.count;
    this.inner.resolve(asked);
    for (let q = 0; q < asked.count; q++) this.remember(q, now);
    for (let i = 0; i < count; i++) {
      const q = this.questionOf[i];
      if (q >= 0) queries.state[i] = asked.state[q];
    }
  }

  synAccepted(queries: SocketQueries, index: number, sequence: number): void {
    if (queries.protocol[index] !== IP_PROTOCOL_TCP) return;
    const hash = hashTuple(queries, index, this.seed);
    this.begin(hash);
    this.syns.remember(hash, hashTuple(queries, index, ~this.seed), sequence, this.clock());
  }

  completesCookie(queries: SocketQueries, index: number, sequence: number): boolean {
    if (queries.protocol[index] !== IP_PROTOCOL_TCP) return false;
    const hash = hashTuple(queries, index, this.seed);
    const check = hashTuple(queries, index, ~this.seed);
    if (!this.syns.knows(hash, check, sequence - 1, this.clock())) return false;
    // This ACK makes a socket as a SYN otherwise does: "not here" ends with it.
    this.begin(hash);
    return true;
  }

  delivered(): void {
    for (let i = 0; i < this.begunCount; i++) this.epochs.finish(this.begun[i]);
    this.begunCount = 0;
  }

  close(): void {
    this.inner.close();
    this.ends?.close();
  }

  /** Makes room for a batch; the batches of a node are all alike, so this happens once. */
  private prepare(capacity: number): void {
    if (this.asked.capacity < capacity) {
      this.asked = new SocketQueries(capacity);
      this.askedHash = new Int32Array(capacity);
      this.askedEpoch = new Int32Array(capacity);
      this.questionOf = new Int32Array(capacity);
    }
    this.asked.count = 0;
    this.endsTaken = false;
    this.batch = (this.batch + 1) | 0;
  }

  private begin(hash: number): void {
    if (this.begunCount === this.begun.length) {
      const larger = new Int32Array(this.begun.length * 2);
      larger.set(this.begun);
      this.begun = larger;
    }
    this.begun[this.begunCount++] = hash;
    this.epochs.begin(hash);
  }

  /** Notes a question for the kernel, once per flow and batch. @returns its index in `asked` */
  private question(queries: SocketQueries, index: number, hash: number): number {
    const { asked } = this;
    const twin = hash & TWIN_MASK;
    if (this.twinBatch[twin] === this.batch && sameQuery(queries, index, asked, this.twin[twin])) {
      return this.twin[twin];
    }
    const q = asked.count++;
    copyQuery(queries, index, asked, q);
    this.askedHash[q] = hash;
    // Before the kernel is asked: a SYN that comes in between makes the answer one not to be kept.
    this.askedEpoch[q] = this.epochs.quiet(hash);
    this.twin[twin] = q;
    this.twinBatch[twin] = this.batch;
    return q;
  }

  /** The SocketState of a valid entry, otherwise UNKNOWN. */
  private remembered(queries: SocketQueries, index: number, hash: number, now: number): number {
    const { table } = this;
    const at = table.find(queries, index, hash, now);
    if (at === ABSENT) return UNKNOWN;
    const state = table.state(at);
    if (state !== SocketState.Established) {
      return this.epochs.unchanged(hash, table.mark(at)) ? state : UNKNOWN;
    }
    if (!this.endsTaken) this.takeEnds();
    // Perhaps this very socket was among those that ended.
    return table.exists(at) && table.mark(at) === this.flushes ? state : UNKNOWN;
  }

  /**
   * Keeps the answer to question `q`, if it is of a kind that may be kept. The entry's mark is what must not change:
   * the SYN epoch for "not here", the flush count for "here".
   */
  private remember(q: number, now: number): void {
    const { asked, table } = this;
    if (asked.protocol[q] !== IP_PROTOCOL_TCP) return;
    const state = asked.state[q];
    const hash = this.askedHash[q];
    const expiry = now + this.lifetime;
    if (state === SocketState.Established) {
      const low = this.inner.cookies[2 * q];
      const high = this.inner.cookies[2 * q + 1];
      if (this.ends === null || (low | high) === 0) return;
      table.name(table.store(asked, q, hash, state, this.flushes, expiry), low | 0, high | 0);
    } else if (state === SocketState.None || state === SocketState.Listening) {
      const epoch = this.askedEpoch[q];
      if (epoch !== BUSY) table.store(asked, q, hash, state, epoch, expiry);
    }
  }

  /** Forgets the sockets that have ended: once per batch, before the first socket from memory is believed in. */
  private takeEnds(): void {
    const { ends } = this;
    this.endsTaken = true;
    if (ends === null) return;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const taken = ends.take();
      if (taken === 0) return;
      if (taken < 0) {
        this.flushes++;
        continue;
      }
      for (let i = 0; i < taken; i++) this.table.forget(ends.cookies[2 * i] | 0, ends.cookies[2 * i + 1] | 0);
    }
    // Still more waiting: some of it may be about what is remembered now. It does no harm to what comes later.
    this.flushes++;
  }
}

function checkPowerOfTwo(entries: number): void {
  if (!Number.isInteger(entries) || entries < 1 || entries > 1 << 24 || (entries & (entries - 1)) !== 0) {
    throw new RangeError(`The socket cache has ${entries} entries: a power of two up to 2^24 is needed`);
  }
}
