import { describe, expect, it } from 'vitest';
import { type PlannerState, plan, targets } from '../../../src/conductor/plan/index.js';
import { dip, fleet, kinds, NOW, newFlows, next, rows, SETTINGS, start } from './support.js';

/** The control loop: load moves buckets. */

function loads(...values: (number | null)[]): ReadonlyMap<string, number> {
  const known = values.map((value, index): [string, number | null] => [`s${index + 1}`, value]);
  return new Map(known.filter((entry): entry is [string, number] => entry[1] !== null));
}

/** One balance step. */
function balance(
  state: PlannerState,
  load: ReadonlyMap<string, number>,
  settings = {},
  now = NOW,
  count = 4,
) {
  return next(state, fleet(count), settings, now, load);
}

describe('a balance step', () => {
  it('moves buckets from servers above the mean load to those below', () => {
    const before = start(fleet(4));
    const made = balance(before, loads(0.8, 0.5, 0.5, 0.2));
    const [s1, s2, s3, s4] = newFlows(made.state, 4);
    expect(s1).toBeLessThan(256);
    expect([s2, s3].every((buckets) => Math.abs(buckets - 256) <= 1)).toBe(true);
    expect(s4).toBeGreaterThan(256);
    expect(new Set(made.moves.map(({ rule }) => rule))).toEqual(new Set(['balance']));
  });

  it('moves in proportion to the deviation from the mean', () => {
    const moved = [0.05, 0.1, 0.2, 0.4].map((deviation) => {
      const made = balance(
        start(fleet(4), {}, 8192),
        loads(0.5 * (1 + deviation), 0.5 * (1 - deviation), 0.5, 0.5),
      );
      return made.changed.length;
    });
    // Half of the deviation of 2048 buckets, with a gain of a half.
    for (const [index, deviation] of [0.05, 0.1, 0.2, 0.4].entries()) {
      expect(Math.abs(moved[index] - 0.5 * deviation * 2048)).toBeLessThan(4);
    }
  });

  it('swaps first: it breaks no connection where second hops are filled', () => {
    const before = start(fleet(4), {}, 1024, true);
    const made = balance(before, loads(0.8, 0.5, 0.5, 0.2));
    expect(Object.keys(kinds(made.moves))).toEqual(['swap']);
    const after = rows(made.state);
    for (const [bucket, old] of rows(before).entries()) {
      expect(new Set([after[bucket].newcomer, after[bucket].holder])).toEqual(
        new Set([old.newcomer, old.holder]),
      );
    }
  });

  it('then uses empty slots, then the oldest holders, and never young ones', () => {
    const settings = { minHolderAge: 1000 };
    // All buckets of s1 have a holder that is gone from the fleet of those that get new flows.
    const slots = Uint32Array.from({ length: 2048 }, (_, at) =>
      at % 2 === 0 ? dip(1 + ((at / 2) % 4)) : at / 2 < 512 ? dip(5) : 0,
    );
    const changedAt = Uint32Array.from({ length: 1024 }, (_, bucket) =>
      bucket < 256 ? NOW - 2000 : NOW - 500,
    );
    const state = { version: 1, slots, changedAt, corrections: new Map() };
    const servers = fleet(5, { 5: { standing: 'drained' } });
    const made = next(
      state,
      servers,
      { ...settings, gain: 1, maxCorrectionStep: 10, maxCorrection: 10 },
      NOW,
      loads(4, 1, 1, 1),
    );
    const moved = [...made.changed];
    // s1 gives more than its 128 buckets without a holder, and more than the 64 with an aged one: 64 are left to it.
    expect(newFlows(made.state, 4)[0]).toBeGreaterThanOrEqual(64);
    expect(kinds(made.moves)).toEqual({ handover: 128, replace: moved.length - 128 });
    expect(moved.some((bucket) => bucket >= 256 && bucket < 512)).toBe(false);
  });

  it('leaves small deviations alone', () => {
    const before = start(fleet(4));
    const made = balance(before, loads(0.5, 0.505, 0.495, 0.5));
    expect(made.state).toBe(before);
  });

  it('changes no server by more than its bounds', () => {
    let state = start(fleet(4), {}, 4096);
    const first = balance(state, loads(100, 1, 1, 1)).state.corrections;
    expect((first.get('s2') ?? 1) / (first.get('s1') ?? 1)).toBeLessThanOrEqual(1.5 * 1.5 + 1e-9);
    for (let step = 0; step < 30; step++) {
      state = balance(state, loads(100, 1, 1, 1), { minHolderAge: 0 }, NOW + step).state;
    }
    for (const correction of state.corrections.values()) {
      expect(correction).toBeGreaterThanOrEqual(0.25);
      expect(correction).toBeLessThanOrEqual(4);
    }
    expect(newFlows(state, 4)[0]).toBeGreaterThan(0);
  });

  it('keeps the weighted mean of the corrections at 1', () => {
    const servers = fleet(3, { 1: { weight: 2 } });
    const made = next(start(servers), servers, {}, NOW, loads(0.9, 0.4, 0.2));
    const [s1, s2, s3] = ['s1', 's2', 's3'].map((name) => made.state.corrections.get(name) ?? 1);
    expect((2 * s1 + s2 + s3) / 4).toBeCloseTo(1, 9);
  });
});

describe('samples that are missing', () => {
  it('never move traffic of their server', () => {
    const before = start(fleet(4));
    const made = balance(before, loads(0.9, null, 0.5, 0.1));
    expect(newFlows(made.state, 4)[1]).toBe(256);
    expect(made.state.corrections.has('s2')).toBe(false);
    expect(newFlows(made.state, 4)[0]).toBeLessThan(256);
  });

  it('that leave less than two, or none that says anything, change nothing', () => {
    const before = start(fleet(4));
    for (const load of [
      loads(),
      loads(null, 0.9),
      loads(0, 0, 0, 0),
      loads(Number.NaN, -1, 0.5),
      loads(null, null, 9),
    ]) {
      expect(balance(before, load).state).toBe(before);
    }
  });

  it('of servers that get no new flows do not count in the mean', () => {
    const servers = fleet(4, { 4: { standing: 'drained' } });
    const before = next(start(fleet(4)), servers).state;
    const made = next(before, servers, {}, NOW + 1, loads(0.5, 0.5, 0.5, 0.01));
    expect(made.state).toBe(before);
  });

  it('each pool is balanced against its own mean', () => {
    const settings = { pools: { a: 1, b: 1 } };
    const servers = fleet(4, { 1: { pool: 'a' }, 2: { pool: 'a' }, 3: { pool: 'b' }, 4: { pool: 'b' } });
    const before = start(servers, settings);
    expect(next(before, servers, settings, NOW, loads(0.9, 0.9, 0.1, 0.1)).state).toBe(before);
    const made = next(before, servers, settings, NOW, loads(0.9, 0.5, 0.1, 0.1));
    expect(newFlows(made.state, 4).slice(2)).toEqual([256, 256]);
    expect(made.changed.length).toBeGreaterThan(0);
  });
});

describe('the control loop', () => {
  it('brings loads within 5 % of the mean when a server is half as fast, mostly by swaps', () => {
    // Short requests: load follows the share at once.
    const speed = [1, 1, 0.5, 1, 1];
    const settings = { maxChangePerMinute: 0.25 };
    let state = start(fleet(5), settings, 1024, true);
    const load = () => newFlows(state, 5).map((buckets, index) => (0.5 * buckets) / 205 / speed[index]);
    let swaps = 0;
    let moves = 0;
    for (let step = 1; step <= 30; step++) {
      const made = next(state, fleet(5), settings, NOW + 10 * step, loads(...load()));
      for (const { kind, buckets } of made.moves) {
        moves += buckets;
        if (kind === 'swap') swaps += buckets;
      }
      state = made.state;
    }
    const mean = load().reduce((sum, one) => sum + one, 0) / 5;
    for (const one of load()) expect(Math.abs(one - mean) / mean).toBeLessThan(0.05);
    expect(swaps / moves).toBeGreaterThan(0.9);
  });

  it('does not wind up while the table cannot follow', () => {
    // The bound lets only a part of what is wanted happen: loads that stay high meanwhile ask for no more of it.
    const settings = { maxChangePerMinute: 0.005 };
    let state = start(fleet(4), {}, 1024);
    for (let step = 0; step < 20; step++)
      state = balance(state, loads(0.9, 0.5, 0.5, 0.5), settings, NOW + step).state;
    const exact = targets(1024, { ...SETTINGS, ...settings }, fleet(4), state.corrections);
    const once = balance(start(fleet(4), {}, 1024), loads(0.9, 0.5, 0.5, 0.5), settings).state;
    const onceExact = targets(1024, { ...SETTINGS, ...settings }, fleet(4), once.corrections);
    expect(exact.get('s1')).toBeGreaterThan((onceExact.get('s1') ?? 0) * 0.95);
  });

  it('explains what it could not do at once as balance, too', () => {
    const settings = { maxChangePerMinute: 0.01 };
    const first = balance(start(fleet(4)), loads(0.9, 0.5, 0.5, 0.5), settings);
    const later = plan(
      first.state,
      { ...SETTINGS, ...settings },
      { now: NOW + 60, servers: fleet(4), loads: null },
    );
    expect(new Set(later.moves.map(({ rule }) => rule))).toEqual(new Set(['balance']));
  });
});
