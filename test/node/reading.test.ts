import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reading, sleepFor } from '../../src/node/reading.js';

const CAPACITY = 64;
/** What things take, in microseconds. */
const CALL = 2;
const PACKET = 0.5;

interface Arrivals {
  /** Times, ascending, in microseconds. */
  readonly tun: readonly number[];
  readonly gue: readonly number[];
}

interface Read {
  readonly source: 'tun' | 'gue';
  readonly count: number;
}

/** A data-plane thread over sources in which packets arrive as told, by a clock of its own. */
class Simulated {
  now = 0;
  polls = 0;
  readonly reads: Read[] = [];
  private readonly reading = new Reading(CAPACITY);
  private readonly taken = { tun: 0, gue: 0 };

  constructor(private readonly arrivals: Arrivals) {
    while (this.sleep()) this.wakeUp();
  }

  /** @returns false when nothing comes any more */
  private sleep(): boolean {
    this.polls++;
    this.now += CALL;
    const { tun, gue } = this.arrivals;
    const next = Math.min(tun[this.taken.tun] ?? Infinity, gue[this.taken.gue] ?? Infinity);
    if (next === Infinity) return false;
    this.now = Math.max(this.now, next);
    return true;
  }

  private wakeUp(): void {
    const { reading } = this;
    reading.begin(this.waiting('tun') > 0, this.waiting('gue') > 0);
    for (;;) {
      const tun = reading.tun ? this.read('tun') : 0;
      const gue = reading.gue ? this.read('gue') : 0;
      if (!reading.goesOn(tun, gue)) return;
    }
  }

  private waiting(source: Read['source']): number {
    const from = this.taken[source];
    let count = 0;
    while (count < CAPACITY && (this.arrivals[source][from + count] ?? Infinity) <= this.now) count++;
    return count;
  }

  private read(source: Read['source']): number {
    const count = this.waiting(source);
    this.taken[source] += count;
    this.reads.push({ source, count });
    this.now += CALL + count * PACKET;
    return count;
  }

  readsOf(source: Read['source']): number[] {
    return this.reads.filter((read) => read.source === source).map(({ count }) => count);
  }
}

/** One packet every `interval` microseconds. */
const steady = (count: number, interval: number) => Array.from({ length: count }, (_, i) => i * interval);

describe('what a data-plane thread reads', () => {
  it('is the source of a lone packet and nothing else, once', () => {
    const quiet = new Simulated({ tun: steady(100, 1000), gue: steady(100, 1000).map((at) => at + 500) });
    expect(quiet.readsOf('tun')).toEqual(new Array(100).fill(1));
    expect(quiet.readsOf('gue')).toEqual(new Array(100).fill(1));
    expect(quiet.polls).toBe(201);
  });

  it('is full batches at high load, with one poll for sixteen rounds', () => {
    const busy = new Simulated({ tun: new Array(6400).fill(0), gue: [] });
    expect(busy.readsOf('tun').filter((count) => count === CAPACITY)).toHaveLength(100);
    expect(busy.polls).toBe(Math.ceil(100 / 16) + 1);
  });

  it('grows with the load: while it works, packets gather for the next batch', () => {
    const sizes = [100, 4, 1, 0.6].map((interval) => {
      const counts = new Simulated({ tun: steady(5000, interval), gue: [] }).readsOf('tun');
      return 5000 / counts.length;
    });
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes[0]).toBe(1);
    expect(sizes[3]).toBeGreaterThan(10);
  });

  it('is both sources while one is flooded: the other waits for one batch, not for sixteen', () => {
    const { reads } = new Simulated({ tun: new Array(20_000).fill(0), gue: steady(50, 150) });
    for (let i = 2; i < reads.length; i++) {
      expect(reads.slice(i - 2, i + 1).some(({ source }) => source === 'gue')).toBe(true);
    }
  });

  it('is everything in the end, however packets arrive', () => {
    const times = fc
      .array(fc.oneof(fc.nat(20), fc.nat(2000)), { maxLength: 400 })
      .map((gaps) => gaps.map((_, i) => gaps.slice(0, i + 1).reduce((sum, gap) => sum + gap, 0)));
    fc.assert(
      fc.property(times, times, (tun, gue) => {
        const simulated = new Simulated({ tun, gue });
        const total = (source: Read['source']) => simulated.readsOf(source).reduce((sum, n) => sum + n, 0);
        expect(total('tun')).toBe(tun.length);
        expect(total('gue')).toBe(gue.length);
        // A read that brings nothing happens only beside a full batch.
        const empty = simulated.reads.filter(({ count }) => count === 0).length;
        const full = simulated.reads.filter(({ count }) => count === CAPACITY).length;
        expect(empty).toBeLessThanOrEqual(2 * full);
      }),
    );
  });
});

it('a data-plane thread does not sleep on packets that poll does not tell of, and never for ever', () => {
  expect(sleepFor(true)).toBe(0);
  expect(sleepFor(false)).toBe(100);
});
