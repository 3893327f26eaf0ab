import { describe, expect, it } from 'vitest';
import { CachedSockets, type CachedSocketsOptions } from '../../src/io/socket-cache.js';
import { SocketState } from '../../src/path/sockets.js';
import { ModelEnds, ModelKernel } from './model-kernel.js';
import { flow, queriesFor, statesOf } from './queries.js';

const { None, Established, Listening, Failed } = SocketState;

function world(options: Partial<CachedSocketsOptions> = {}) {
  const kernel = new ModelKernel();
  const ends = new ModelEnds(kernel);
  const time = { now: 5_000_000 };
  const shared = CachedSockets.sharedState(1024);
  const make = (more: Partial<CachedSocketsOptions> = {}) =>
    new CachedSockets(kernel, { shared, ends, entries: 1024, clock: () => time.now, ...options, ...more });
  return { kernel, ends, time, make, cache: make() };
}

/** SYN of flow `number` through one thread, to its end. */
function deliverSyn(cache: CachedSockets, kernel: ModelKernel, number: number, sequence = 1000): void {
  cache.synAccepted(queriesFor([flow(number)]), 0, sequence);
  kernel.syn(number);
  cache.delivered();
}

describe('what is found', () => {
  it('is asked for once, until its end is announced', () => {
    const { kernel, cache } = world();
    kernel.sockets.set(1, 'full');
    for (let i = 0; i < 5; i++) expect(statesOf(cache, flow(1))).toEqual([Established]);
    expect(kernel.asked).toBe(1);
    expect(cache.counters).toEqual({ hits: 4, misses: 1, evictions: 0, kernelLookups: 1 });
    kernel.finish(1);
    kernel.expire(1);
    kernel.announce();
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
  });

  it('is asked for again where no announcement would come: handshakes, TIME_WAIT', () => {
    const { kernel, cache } = world();
    for (const state of ['handshake', 'time-wait'] as const) {
      kernel.sockets.set(1, state);
      expect(statesOf(cache, flow(1))).toEqual([Established]);
      kernel.expire(1);
      expect(statesOf(cache, flow(1))).toEqual([Listening]);
      deliverSyn(cache, kernel, 2);
      deliverSyn(cache, kernel, 1);
      kernel.sockets.clear();
    }
  });

  it('is forgotten when announcements were lost', () => {
    const { kernel, ends, cache } = world();
    kernel.sockets.set(1, 'full');
    statesOf(cache, flow(1));
    kernel.finish(1);
    kernel.expire(1);
    kernel.announce();
    ends.overflow();
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
  });

  it('is forgotten when more announcements wait than are taken before one batch', () => {
    const { kernel, ends, cache } = world();
    kernel.sockets.set(1, 'full');
    statesOf(cache, flow(1));
    kernel.reset(1);
    kernel.reap();
    ends.waiting.push(...Array.from({ length: 200 }, (_, i) => ({ number: 9, cookie: 1000 + i })));
    kernel.announce();
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
    expect(ends.waiting.length).toBeGreaterThan(0);
  });

  it('is never older than the lifetime, for sockets that were reset and are kept open', () => {
    const { kernel, time, cache } = world({ lifetime: 700 });
    kernel.sockets.set(1, 'full');
    statesOf(cache, flow(1));
    kernel.reset(1);
    time.now += 699;
    expect(statesOf(cache, flow(1))).toEqual([Established]);
    time.now += 1;
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
  });

  it('is not remembered without announcements', () => {
    const kernel = new ModelKernel();
    const cache = new CachedSockets(kernel, { shared: CachedSockets.sharedState(16), entries: 16 });
    kernel.sockets.set(1, 'full');
    statesOf(cache, flow(1));
    statesOf(cache, flow(1));
    expect(kernel.asked).toBe(2);
  });
});

describe('socket cookies', () => {
  it('that share a slot: the older socket is forgotten, for its end could not be told', () => {
    const { kernel, cache } = world({ entries: 64 });
    kernel.sockets.set(1, 'full');
    statesOf(cache, flow(1));
    // 64 cookies on.
    for (let number = 100; number < 163; number++) {
      kernel.sockets.set(number, 'full');
      kernel.reset(number);
    }
    kernel.sockets.set(2, 'full');
    statesOf(cache, flow(2));
    kernel.reset(1);
    kernel.reap();
    kernel.announce();
    expect(statesOf(cache, flow(1), flow(2))).toEqual([Listening, Established]);
  });
});

describe('what is not found', () => {
  it('is asked for once, a listener or none', () => {
    const { kernel, cache } = world();
    expect(statesOf(cache, flow(1), flow(2))).toEqual([Listening, Listening]);
    kernel.listening = false;
    expect(statesOf(cache, flow(1), flow(3))).toEqual([Listening, None]);
    expect(statesOf(cache, flow(3))).toEqual([None]);
    expect(kernel.asked).toBe(3);
  });

  it('is asked for again after a SYN, in whichever thread', () => {
    const { kernel, cache, make } = world();
    const other = make();
    statesOf(cache, flow(1));
    statesOf(other, flow(1));
    deliverSyn(other, kernel, 1);
    expect(statesOf(cache, flow(1))).toEqual([Established]);
    expect(statesOf(other, flow(1))).toEqual([Established]);
  });

  it('is not remembered while a SYN is on its way, and what was known before is not trusted', () => {
    const { kernel, cache, make } = world();
    const other = make();
    statesOf(cache, flow(1));
    other.synAccepted(queriesFor([flow(1)]), 0, 1);
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
    // The kernel gets the SYN; `other` has not come to saying so.
    kernel.syn(1);
    expect(statesOf(cache, flow(1))).toEqual([Established]);
    other.delivered();
    expect(statesOf(cache, flow(1))).toEqual([Established]);
  });

  it('is remembered again when the SYN came to nothing', () => {
    const { kernel, cache } = world();
    cache.synAccepted(queriesFor([flow(1)]), 0, 1);
    cache.delivered();
    statesOf(cache, flow(1));
    statesOf(cache, flow(1));
    expect(kernel.asked).toBe(1);
  });

  it('ends with the ACK of a cookie handshake, too', () => {
    const { kernel, cache } = world();
    cache.synAccepted(queriesFor([flow(1)]), 0, 1000);
    cache.delivered();
    const ack = queriesFor([flow(1)]);
    cache.resolve(ack);
    expect(ack.state[0]).toBe(Listening);
    expect(cache.completesCookie(ack, 0, 1001)).toBe(true);
    kernel.establish(1, true);
    cache.delivered();
    expect(statesOf(cache, flow(1))).toEqual([Established]);
  });

  it('is never older than the lifetime, for sockets that come without a SYN', () => {
    const { kernel, time, cache } = world({ lifetime: 300 });
    statesOf(cache, flow(1));
    kernel.sockets.set(1, 'full');
    time.now += 300;
    expect(statesOf(cache, flow(1))).toEqual([Established]);
  });

  it('survives the clock’s 32 bits running over', () => {
    const { kernel, time, cache } = world();
    time.now = 2 ** 31 - 10;
    statesOf(cache, flow(1));
    time.now += 500;
    statesOf(cache, flow(1));
    expect(kernel.asked).toBe(1);
    time.now += 600;
    statesOf(cache, flow(1));
    expect(kernel.asked).toBe(2);
  });
});

describe('what is not remembered', () => {
  it('UDP', () => {
    const { kernel, cache } = world();
    for (let i = 0; i < 3; i++) statesOf(cache, flow(1, { protocol: 'udp' }));
    expect(kernel.asked).toBe(3);
    expect(cache.counters).toEqual({ hits: 0, misses: 0, evictions: 0, kernelLookups: 3 });
  });

  it('failures', () => {
    const { kernel, cache } = world();
    kernel.failing = true;
    expect(statesOf(cache, flow(1))).toEqual([Failed]);
    kernel.failing = false;
    expect(statesOf(cache, flow(1))).toEqual([Listening]);
  });
});

describe('a batch', () => {
  it('asks the kernel once per flow, in one go, and answers in order', () => {
    const { kernel, cache } = world();
    kernel.sockets.set(2, 'full');
    kernel.sockets.set(3, 'handshake');
    const udp = flow(2, { protocol: 'udp' });
    const flows = [flow(1), flow(2), flow(3), flow(2), flow(1), udp, udp, flow(3)];
    const expected = [Listening, Established, Established, Established, Listening, Established, Established];
    expect(statesOf(cache, ...flows)).toEqual([...expected, Established]);
    expect(kernel.asked).toBe(4);
  });

  it('may be larger than the last', () => {
    const { kernel, cache } = world();
    statesOf(cache, flow(1));
    kernel.sockets.set(299, 'full');
    const states = statesOf(cache, ...Array.from({ length: 300 }, (_, i) => flow(i)));
    expect(states.filter((state) => state === Established)).toEqual([Established]);
    expect(states[299]).toBe(Established);
  });

  it('has two places for each flow, and gives up the older one for a third', () => {
    const { cache, kernel, time } = world({ entries: 2 });
    for (const number of [1, 2, 1, 2]) {
      statesOf(cache, flow(number));
      time.now += 1;
    }
    expect(kernel.asked).toBe(2);
    statesOf(cache, flow(3));
    statesOf(cache, flow(2));
    expect(kernel.asked).toBe(3);
    statesOf(cache, flow(1));
    expect(kernel.asked).toBe(4);
  });

  it('tells flows apart that differ in one field', () => {
    const { cache, kernel } = world({ entries: 1 });
    const flows = [
      flow(1),
      flow(2),
      flow(1, { localPort: 81 }),
      flow(1, { local: '192.0.2.2' }),
      flow(1, { remote: '198.51.100.4' }),
      flow(1, { local: 'c000:201::', remote: 'c633:6403::' }),
    ];
    for (const one of flows) statesOf(cache, one);
    expect(kernel.asked).toBe(flows.length);
    expect(cache.counters.evictions).toBe(flows.length - 1);
    statesOf(cache, flows[flows.length - 1]);
    expect(cache.counters.hits).toBe(1);
  });
});

describe('SYN cookies', () => {
  it('recognises the ACK by the sequence number of the SYN, whichever thread saw it', () => {
    const { cache, make } = world();
    const other = make();
    const queries = queriesFor([flow(1), flow(2)]);
    other.synAccepted(queries, 0, 0xffffffff);
    other.delivered();
    expect(cache.completesCookie(queries, 0, 0)).toBe(true);
    expect(cache.completesCookie(queries, 0, 1)).toBe(false);
    expect(cache.completesCookie(queries, 1, 0)).toBe(false);
    other.synAccepted(queries, 0, 0x80000000);
    expect(cache.completesCookie(queries, 0, 0x80000001)).toBe(true);
    expect(cache.completesCookie(queries, 0, 0)).toBe(false);
  });

  it('for about a minute', () => {
    const { time, cache } = world();
    const queries = queriesFor([flow(1)]);
    cache.synAccepted(queries, 0, 7);
    time.now += 64_000;
    expect(cache.completesCookie(queries, 0, 8)).toBe(true);
    time.now += 1000;
    expect(cache.completesCookie(queries, 0, 8)).toBe(false);
  });

  it('never for a sequence number that no SYN had, however full the memory', () => {
    const shared = CachedSockets.sharedState(4);
    const cache = new CachedSockets(new ModelKernel(), { shared, entries: 4 });
    let known = 0;
    for (let i = 0; i < 500; i++) cache.synAccepted(queriesFor([flow(i)]), 0, i * 1000);
    for (let i = 0; i < 500; i++) {
      const queries = queriesFor([flow(i)]);
      if (cache.completesCookie(queries, 0, i * 1000 + 1)) known++;
      expect(cache.completesCookie(queries, 0, i * 1000 + 1001)).toBe(false);
    }
    expect(known).toBeLessThanOrEqual(4);
    expect(known).toBeGreaterThan(0);
  });

  it('not for UDP', () => {
    const { cache } = world();
    const queries = queriesFor([flow(1, { protocol: 'udp' })]);
    cache.synAccepted(queries, 0, 1);
    expect(cache.completesCookie(queries, 0, 2)).toBe(false);
  });
});

it('wants a power of two', () => {
  const shared = CachedSockets.sharedState(16);
  expect(() => new CachedSockets(new ModelKernel(), { shared, entries: 100 })).toThrow(/100 entries/);
  expect(() => CachedSockets.sharedState(0)).toThrow(/power of two/);
});
