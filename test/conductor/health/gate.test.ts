import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GateSettings, HealthGate, LONGEST_OVER } from '../../../src/conductor/health/gate.js';

const SETTLE = 2;
const SETTINGS: GateSettings = { settleSeconds: SETTLE, wideProblem: 0.5, wideProblemOver: 0.3 };

type Report = boolean | null;

/** A gate over servers s1, s2, ... that all are up already. */
class Bench {
  readonly gate: HealthGate;
  readonly names: string[];

  constructor(servers: number, settings: Partial<GateSettings> = {}) {
    this.gate = new HealthGate({ ...SETTINGS, ...settings });
    this.names = Array.from({ length: servers }, (_, index) => `s${index + 1}`);
    for (const name of this.names) this.gate.assume(name, true);
  }

  /** Names of those that are down, all others being reported healthy. */
  unhealthy(now: number, ...down: string[]) {
    return this.judge(
      now,
      this.names.map((name) => !down.includes(name)),
    );
  }

  judge(now: number, reports: readonly Report[]) {
    const verdict = this.gate.judge(
      now,
      reports.map((up, index) => ({ server: `s${index + 1}`, up, why: up === false ? 'HTTP 503' : '' })),
    );
    const out = [...verdict.standings].filter(([, { up }]) => !up).map(([name]) => name);
    return { ...verdict, out };
  }
}

describe('a change of health', () => {
  it('is acted upon when it has lasted for the settle time, in both directions', () => {
    const bench = new Bench(4);
    expect(bench.unhealthy(10, 's1')).toMatchObject({ out: [], nextAt: 12 });
    expect(bench.unhealthy(11.9, 's1')).toMatchObject({ out: [], nextAt: 12 });
    expect(bench.unhealthy(12, 's1')).toMatchObject({ out: ['s1'], nextAt: null });
    expect(bench.unhealthy(20)).toMatchObject({ out: ['s1'], nextAt: 22 });
    expect(bench.unhealthy(22)).toMatchObject({ out: [], nextAt: null });
  });

  it('says why each server stands where it does', () => {
    const bench = new Bench(4);
    const why = (verdict: ReturnType<Bench['judge']>) => verdict.standings.get('s1')?.why;
    expect(why(bench.unhealthy(0))).toBe('');
    expect(why(bench.unhealthy(1, 's1'))).toBe('HTTP 503, but not for 2 s yet');
    expect(why(bench.unhealthy(3, 's1'))).toBe('HTTP 503');
    expect(why(bench.judge(4, [null, true, true, true]))).toBe('HTTP 503');
    expect(why(bench.unhealthy(5))).toBe('healthy, but not for 2 s yet');
    bench.unhealthy(7);
    expect(why(bench.judge(8, [null, true, true, true]))).toBe('stays in use: nobody reports');
  });

  it('is forgotten when the report goes back before', () => {
    const bench = new Bench(4);
    for (let now = 0; now < 60; now += 1.5) {
      expect(bench.unhealthy(now, ...(now % 3 === 0 ? ['s1'] : [])).out).toEqual([]);
    }
  });

  it('has to be reported all the time: a gap begins it anew', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1');
    bench.judge(1, [null, true, true, true]);
    expect(bench.unhealthy(2.5, 's1').out).toEqual([]);
    expect(bench.unhealthy(4.5, 's1').out).toEqual(['s1']);
  });

  it('is none when nobody reports, for however long', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1');
    bench.unhealthy(2, 's1');
    for (let now = 3; now < 1000; now += 10) {
      expect(bench.judge(now, [null, null, null, null])).toMatchObject({ out: ['s1'], wideProblem: null });
    }
  });

  it('is acted upon at once where nothing has to settle', () => {
    const bench = new Bench(4, { settleSeconds: 0 });
    expect(bench.unhealthy(0, 's1').out).toEqual(['s1']);
    expect(bench.unhealthy(0.1).out).toEqual([]);
  });
});

describe('a new server', () => {
  it('is out until it has been reported healthy for the settle time', () => {
    const bench = new Bench(2);
    expect(bench.judge(0, [true, true, null])).toMatchObject({ out: ['s3'] });
    expect(bench.judge(5, [true, true, true])).toMatchObject({ out: ['s3'], nextAt: 7 });
    expect(bench.judge(7, [true, true, true]).out).toEqual([]);
  });

  it('is no part of a wide problem before it was ever up', () => {
    const bench = new Bench(2);
    const verdict = bench.judge(0, [true, true, false, false, false, false]);
    expect(verdict.wideProblem).toBeNull();
    expect(bench.judge(5, [true, true, false, false, false, false]).wideProblem).toBeNull();
  });

  it('is new again after it was gone', () => {
    const bench = new Bench(3);
    bench.judge(0, [true, true, true]);
    bench.judge(1, [true, true]);
    expect(bench.judge(2, [true, true, true]).out).toEqual(['s3']);
  });

  it('is up at the start where the caller knows that it was', () => {
    const gate = new HealthGate(SETTINGS);
    gate.assume('s1', true);
    gate.assume('s2', false);
    const { standings } = gate.judge(
      0,
      ['s1', 's2', 's3'].map((server) => ({ server, up: null, why: '' })),
    );
    expect([...standings].map(([, { up }]) => up)).toEqual([true, false, false]);
  });
});

describe('a problem of the data center', () => {
  it('takes nobody out when it strikes all at once, and says why', () => {
    const bench = new Bench(4);
    for (let now = 0; now < 100; now += 1) {
      const verdict = bench.unhealthy(now, 's1', 's2', 's3');
      expect(verdict.out).toEqual([]);
      expect(verdict.wideProblem).toBe(
        '3 of 4 servers report unhealthy: a problem of the data center, not of servers; new flows go where they went',
      );
      expect(verdict.standings.get('s1')?.why).toBe('HTTP 503, held back');
      expect(verdict.nextAt).toBeNull();
    }
  });

  it('takes nobody out either when the reports trickle in within the settle time', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1');
    bench.unhealthy(1, 's1', 's2');
    expect(bench.unhealthy(1.9, 's1', 's2', 's3').out).toEqual([]);
    expect(bench.unhealthy(50, 's1', 's2', 's3').out).toEqual([]);
  });

  it('begins with more than the configured share, not with that share', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1', 's2');
    expect(bench.unhealthy(2, 's1', 's2')).toMatchObject({ out: ['s1', 's2'], wideProblem: null });
  });

  it('leaves out those that went before it when servers fail one by one, and no more', () => {
    const bench = new Bench(10);
    const failing: string[] = [];
    for (let step = 0; step < 9; step++) {
      failing.push(`s${step + 1}`);
      bench.unhealthy(10 * step, ...failing);
      const { out, wideProblem } = bench.unhealthy(10 * step + 5, ...failing);
      expect(out).toEqual(failing.slice(0, 5));
      expect(wideProblem === null).toBe(step < 5);
    }
  });

  it('lets servers that are out come back while it lasts', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1');
    bench.unhealthy(2, 's1');
    bench.unhealthy(10, 's2', 's3', 's4');
    const verdict = bench.unhealthy(12, 's2', 's3', 's4');
    expect(verdict.out).toEqual([]);
    expect(verdict.wideProblem).not.toBeNull();
  });

  it('is over when few enough have reported unhealthy for the settle time; those that still do go down then', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1', 's2', 's3');
    // 50 % are too many for it to be over, although they would not have begun it.
    expect(bench.unhealthy(10, 's1', 's2')).toMatchObject({ out: [], nextAt: null });
    expect(bench.unhealthy(20, 's1')).toMatchObject({ out: [], nextAt: 22 });
    expect(bench.unhealthy(20, 's1').wideProblem).toBe(
      '1 of 4 servers report unhealthy, after too many did: held back until that has lasted 2 s',
    );
    expect(bench.unhealthy(22, 's1')).toMatchObject({ out: ['s1'], wideProblem: null });
  });

  it('is not over by reports that fail to come', () => {
    const bench = new Bench(4);
    bench.unhealthy(0, 's1', 's2', 's3');
    const verdict = bench.judge(100, [null, null, null, null]);
    expect(verdict.wideProblem).not.toBeNull();
    expect(verdict.out).toEqual([]);
  });

  it('has to be over for twice as long each time it comes back soon', () => {
    const bench = new Bench(4);
    let now = 0;
    const lengths: number[] = [];
    for (let time = 0; time < 9; time++) {
      bench.unhealthy(now, 's1', 's2', 's3');
      const { nextAt } = bench.unhealthy(now + 1);
      lengths.push((nextAt ?? 0) - (now + 1));
      now = nextAt ?? 0;
      expect(bench.unhealthy(now).wideProblem).toBeNull();
    }
    const most = LONGEST_OVER * SETTLE;
    expect(lengths).toEqual([2, 4, 8, 16, 32, 64, most, most, most]);
    bench.unhealthy(now + 16 * most, 's1', 's2', 's3');
    const { nextAt } = bench.unhealthy(now + 16 * most + 1);
    expect(nextAt).toBe(now + 16 * most + 1 + SETTLE);
  });

  it('never leaves more than the configured share out, whatever is reported', () => {
    const reports = fc.array(
      fc.record({
        wait: fc.double({ min: 0.1, max: 5, noNaN: true }),
        up: fc.array(fc.option(fc.boolean()), { minLength: 7, maxLength: 7 }),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(reports, fc.constantFrom(0.2, 0.5, 0.8), (history, wideProblem) => {
        const bench = new Bench(7, { wideProblem, wideProblemOver: 0.2 });
        let now = 0;
        for (const { wait, up } of history) {
          now += wait;
          expect(bench.judge(now, up).out.length / 7).toBeLessThanOrEqual(wideProblem);
        }
      }),
    );
  });

  it('never keeps a change that lasts from being made when few servers are concerned', () => {
    const steps = fc.array(fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (history) => {
        const bench = new Bench(8);
        let now = 0;
        for (const [first, second] of history) {
          const reports = [first, second, true, true, true, true, true, true];
          bench.judge(now, reports);
          now += SETTLE;
          const { out } = bench.judge(now, reports);
          expect(out).toEqual([...(first ? [] : ['s1']), ...(second ? [] : ['s2'])]);
          now += 1;
        }
      }),
    );
  });
});

/** Servers that fail when they get too much: the load goes to all that are up, in equal parts. */
function simulate(settings: GateSettings, capacities: readonly number[], load: number, seconds: number) {
  const gate = new HealthGate(settings);
  const names = capacities.map((_, index) => `s${index + 1}`);
  for (const name of names) gate.assume(name, true);
  let up = names.map(() => true);
  let changes = 0;
  let emptied = 0;
  for (let now = 0; now < seconds; now += 0.5) {
    const taking = up.filter(Boolean).length;
    const verdict = gate.judge(
      now,
      names.map((server, index) => {
        const share = up[index] ? load / taking : 0;
        return { server, up: capacities[index] > 0 && share <= capacities[index], why: '' };
      }),
    );
    const next = names.map((name) => verdict.standings.get(name)?.up === true);
    changes += next.filter((value, index) => value !== up[index]).length;
    if (!next.some(Boolean)) emptied++;
    up = next;
  }
  return { changes, emptied };
}

describe('an overloaded data center', () => {
  const UNGUARDED: GateSettings = { settleSeconds: SETTLE, wideProblem: 1, wideProblemOver: 1 };
  const HOUR = 3600;

  it('takes turns without the rule, and stands still with it, when a few servers break and the rest cannot carry all', () => {
    const cases = fc.integer({ min: 4, max: 12 }).chain((servers) =>
      fc.record({
        servers: fc.constant(servers),
        broken: fc.integer({ min: 1, max: Math.floor(servers / 2) - 1 }),
        excess: fc.double({ min: 1.01, max: 3, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ servers, broken, excess }) => {
        const capacities = Array.from({ length: servers }, (_, index) => (index < broken ? 0 : 100));
        const load = 100 * (servers - broken) * excess;
        const without = simulate(UNGUARDED, capacities, load, 300);
        expect(without.changes).toBeGreaterThan(50);
        expect(without.emptied).toBeGreaterThan(0);
        // Only those that break go; or nobody, where all are too much loaded from the start.
        const withRule = simulate(SETTINGS, capacities, load, HOUR);
        expect([0, broken]).toContain(withRule.changes);
        expect(withRule.emptied).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('changes ever more seldom where all are well only together with servers too weak for their part', () => {
    const capacities = [80, 80, 100, 100, 100, 100, 100, 100, 100, 100];
    const load = 900;
    const without = simulate(UNGUARDED, capacities, load, HOUR);
    const withRule = simulate(SETTINGS, capacities, load, HOUR);
    expect(without.changes).toBeGreaterThan(5000);
    // Two go and come back, at most once in LONGEST_OVER settle times when the times have grown.
    expect(withRule.changes).toBeLessThanOrEqual(4 * (6 + HOUR / (LONGEST_OVER * SETTLE)));
  });
});
