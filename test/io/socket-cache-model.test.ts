import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CachedSockets } from '../../src/io/socket-cache.js';
import { SocketState } from '../../src/path/sockets.js';
import { ModelEnds, ModelKernel } from './model-kernel.js';
import { flow, queriesFor } from './queries.js';

/**
 * Random interleavings of two data-plane threads, a kernel and its clients. After each lookup the answer is held
 * against the kernel's state at that very moment.
 */

const FLOWS = 3;
const THREADS = 2;
const LIFETIME = 1000;

const number = fc.nat({ max: FLOWS - 1 });
const thread = fc.nat({ max: THREADS - 1 });
/** The three moments of a SYN's way through a thread. */
const synStep = fc.oneof(
  fc.record({ do: fc.constant('decide' as const), thread, number }),
  fc.record({ do: fc.constant('write' as const), thread }),
  fc.record({ do: fc.constant('delivered' as const), thread }),
);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('lookup' as const),
      thread,
      number,
      meanwhile: fc.array(synStep, { maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: synStep },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('establish', 'finish', 'reset', 'expire'), number }),
  },
  // A connection in one go: otherwise few would ever live, be found, and end.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const), thread, number }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('close' as const),
      number,
      announcement: fc.constantFrom('pending', 'sent', 'lost'),
    }),
  },
  fc.record({ do: fc.constantFrom('reap', 'announce', 'listen', 'cookies') }),
  fc.record({ do: fc.constant('overflow' as const), thread }),
  fc.record({ do: fc.constant('wait' as const), milliseconds: fc.integer({ min: 1, max: 1500 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A packet that a thread has let in and not yet written. */
interface Decided {
  readonly number: number;
  readonly kind: 'syn' | 'cookie-syn' | 'cookie-ack';
  readonly sequence: number;
}

class World {
  private now = 1;
  private sequence = 0;
  private cookies = false;
  private readonly kernel = new ModelKernel();
  /** When a full socket of the flow was unhashed last. */
  private readonly unhashed = new Map<number, number>();
  private readonly threads = Array.from({ length: THREADS }, () => ({
    ends: new ModelEnds(this.kernel),
    decided: [] as Decided[],
  }));
  /** Sequence numbers of SYNs that got a cookie, by flow. */
  private readonly cookieSent = new Map<number, number>();
  private readonly caches: CachedSockets[];

  constructor() {
    // Few entries: flows get in each other's way.
    const shared = CachedSockets.sharedState(4);
    this.caches = this.threads.map(
      ({ ends }) =>
        new CachedSockets(this.kernel, {
          shared,
          ends,
          entries: 2,
          lifetime: LIFETIME,
          clock: () => this.now,
        }),
    );
  }

  run(step: Step): void {
    const { kernel, threads, caches } = this;
    switch (step.do) {
      case 'lookup':
        // Between the kernel's answer and the cache's keeping it, the other threads go on.
        kernel.afterAnswer = () => {
          for (const meanwhile of step.meanwhile) this.run({ ...meanwhile, thread: 1 - step.thread });
        };
        this.lookup(step.thread, step.number);
        break;
      case 'decide':
        caches[step.thread].synAccepted(queriesFor([flow(step.number)]), 0, ++this.sequence);
        threads[step.thread].decided.push({
          number: step.number,
          kind: this.cookies ? 'cookie-syn' : 'syn',
          sequence: this.sequence,
        });
        break;
      case 'write':
        this.write(step.thread);
        break;
      case 'delivered':
        // A thread says so when all is written.
        while (threads[step.thread].decided.length > 0) this.write(step.thread);
        caches[step.thread].delivered();
        break;
      case 'connect':
        this.run({ do: 'decide', thread: step.thread, number: step.number });
        this.run({ do: 'delivered', thread: step.thread });
        kernel.establish(step.number);
        this.lookup(step.thread, step.number);
        break;
      case 'close':
        kernel.finish(step.number);
        this.run({ do: 'expire', number: step.number });
        if (step.announcement !== 'pending') kernel.announce();
        if (step.announcement === 'lost') for (const { ends } of threads) ends.overflow();
        break;
      case 'establish':
        kernel.establish(step.number);
        break;
      case 'finish':
        kernel.finish(step.number);
        break;
      case 'reset':
        if (kernel.sockets.get(step.number) === 'full') this.unhashed.set(step.number, this.now);
        kernel.reset(step.number);
        break;
      case 'expire':
        // TIME_WAIT was still found; the flow is gone with it.
        if (kernel.sockets.get(step.number) === 'time-wait') this.unhashed.set(step.number, this.now);
        kernel.expire(step.number);
        break;
      case 'reap':
        kernel.reap();
        break;
      case 'announce':
        kernel.announce();
        break;
      case 'listen':
        kernel.listening = !kernel.listening;
        break;
      case 'cookies':
        this.cookies = !this.cookies;
        break;
      case 'overflow':
        threads[step.thread].ends.overflow();
        break;
      case 'wait':
        this.now += step.milliseconds;
        break;
    }
  }

  private write(thread: number): void {
    const next = this.threads[thread].decided.shift();
    if (next === undefined) return;
    if (next.kind === 'cookie-ack') this.kernel.establish(next.number, true);
    else if (next.kind === 'syn') this.kernel.syn(next.number);
    else if (!this.kernel.sockets.has(next.number)) this.cookieSent.set(next.number, next.sequence);
  }

  private lookup(thread: number, number: number): void {
    const cache = this.caches[thread];
    const queries = queriesFor([flow(number)]);
    const before = this.kernel.sockets.has(number);
    cache.resolve(queries);
    const here = before && this.kernel.sockets.has(number);
    if (queries.state[0] === SocketState.Established) {
      if (!here) this.expectExcuse(thread, number);
      return;
    }
    // "Not here" has no excuse.
    expect(here).toBe(false);

    // The client answers a cookie, if it got one.
    const sequence = this.cookieSent.get(number);
    if (sequence === undefined || queries.state[0] !== SocketState.Listening) return;
    if (cache.completesCookie(queries, 0, sequence + 1)) {
      this.cookieSent.delete(number);
      this.threads[thread].decided.push({ number, kind: 'cookie-ack', sequence });
    }
  }

  /** "Here" may lag behind the kernel, by less than the lifetime, and only until the announcement can be read. */
  private expectExcuse(thread: number, number: number): void {
    expect(this.now - (this.unhashed.get(number) ?? Number.NEGATIVE_INFINITY)).toBeLessThan(LIFETIME);
    const unread = [...this.kernel.dead, ...this.kernel.unannounced, ...this.threads[thread].ends.waiting];
    expect(unread.map((socket) => socket.number)).toContain(number);
  }
}

describe('the socket cache', () => {
  it('never gives a wrong answer', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
        const world = new World();
        for (const one of steps) world.run(one);
      }),
      { numRuns: 3000 },
    );
  });
});
