import { describe, expect, it } from 'vitest';
import {
  bucketsFor,
  describeMoves,
  initialState,
  type PlannerState,
  plan,
  secondHopShare,
  shares,
} from '../../../src/conductor/plan/index.js';
import { TableError } from '../../../src/table/errors.js';
import { dip, fleet, kinds, NOW, newFlows, next, rows, SETTINGS, start } from './support.js';

/** One test for each rule that the reference text gives the planner, and for what follows from them. */

const HOUR = 3600;

/** Rules of the moves, each once. */
function rules(made: ReturnType<typeof next>): string[] {
  return [...new Set(made.moves.map(({ rule }) => rule))];
}

/** Buckets that differ. */
function changedRows(
  before: PlannerState,
  after: PlannerState,
  scheme: 'tcp' | 'switched' | 'single' = 'tcp',
) {
  const now = rows(after, scheme);
  return rows(before, scheme)
    .map((old, bucket) => ({ bucket, old, now: now[bucket] }))
    .filter(({ old, now }) => old.newcomer !== now.newcomer || old.holder !== now.holder);
}

describe('a first table', () => {
  it('has a power of two of buckets, more than a hundred for each server', () => {
    expect([1, 10, 40, 41, 1000, 1310].map(bucketsFor)).toEqual([128, 1024, 4096, 8192, 131072, 131072]);
    for (let servers = 1; servers < 3000; servers += 7) {
      const buckets = bucketsFor(servers);
      expect(Math.log2(buckets) % 1).toBe(0);
      expect(buckets).toBeGreaterThan(100 * servers);
      expect(buckets / 2).toBeLessThanOrEqual(100 * servers);
    }
    expect(() => start(fleet(2), {}, 1000)).toThrow(TableError);
  });

  it('gives shares by weight, exact to one bucket, in places that the seed decides', () => {
    const servers = fleet(3, { 2: { weight: 2 }, 3: { weight: 0.5 } });
    const state = start(servers, {}, 1024);
    expect(newFlows(state, 3)).toEqual([293, 585, 146]);
    expect(rows(state).every(({ holder }) => holder === 0)).toBe(true);
    const options = { buckets: 1024, settings: SETTINGS, servers: [...servers].reverse() };
    expect(initialState({ ...options, seed: 7 })).toEqual(state);
    expect([...initialState({ ...options, seed: 8 }).slots]).not.toEqual([...state.slots]);
  });

  it('leaves out who gets no new flows, and is refused when nobody is left', () => {
    const servers = fleet(5, {
      1: { weight: 0 },
      2: { standing: 'drained' },
      3: { standing: 'down' },
      4: { pool: 'other' },
    });
    expect([...shares(start(servers), 'tcp').keys()]).toEqual([dip(5)]);
    expect(() => start(servers.slice(0, 4))).toThrow('no server may get new flows');
    expect(() => start(fleet(9), {}, 8)).toThrow('9 servers do not fit into 8 buckets: use 1024');
  });

  it('can have a holder in each bucket, as evenly as newcomers, and never the newcomer itself', () => {
    const state = start(fleet(4), {}, 1024, true);
    for (const { newFlows, oldFlows } of shares(state, 'tcp').values()) {
      expect(newFlows).toBe(256);
      expect(Math.abs(oldFlows - 256)).toBeLessThan(4);
    }
    const uneven = rows(start(fleet(2, { 1: { weight: 3 } }), {}, 1024, true));
    expect(uneven.every(({ newcomer, holder }) => newcomer !== holder && holder !== 0)).toBe(true);
    expect(rows(start(fleet(1), {}, 128, true)).every(({ holder }) => holder === 0)).toBe(true);
    expect(
      rows(start(fleet(2), { scheme: 'single' }, 256, true), 'single').every(({ holder }) => holder === 0),
    );
  });
});

describe('weights and pools', () => {
  it('pools share by their weights, which need not add up to 1, whatever the number of their servers', () => {
    const pools = { big: 3, small: 0.5, unused: 9 };
    const servers = fleet(5, {
      1: { pool: 'big' },
      2: { pool: 'small' },
      3: { pool: 'small' },
      4: { pool: 'small', weight: 3 },
      5: { pool: 'elsewhere' },
    });
    expect(newFlows(start(servers, { pools }, 1024), 5)).toEqual([878, 29, 29, 88, 0]);
  });

  it('a weight of 0 takes all new flows away and keeps the old ones', () => {
    const before = start(fleet(3));
    const made = next(before, fleet(3, { 2: { weight: 0 } }));
    expect(newFlows(made.state, 3)).toEqual([512, 0, 512]);
    expect(shares(made.state, 'tcp').get(dip(2))).toEqual({ newFlows: 0, oldFlows: newFlows(before, 3)[1] });
    expect(kinds(made.moves)).toEqual({ handover: newFlows(before, 3)[1] });
  });

  it('a change of weight moves just the difference', () => {
    const before = start(fleet(4));
    const made = next(before, fleet(4, { 1: { weight: 2 } }));
    expect(newFlows(made.state, 4)[0]).toBe(409);
    expect(made.changed.length).toBe(409 - 256);
    expect(rules(made)).toEqual(['weight']);
    for (const { from, to } of made.moves) expect([from === dip(1), to === dip(1)]).toEqual([false, true]);
  });
});

describe('the least recently modified buckets change first', () => {
  it('among buckets that cost the same', () => {
    const old = start(fleet(4));
    const changedAt = old.changedAt.map((_, bucket) => NOW - 10_000 + ((bucket * 37) % 1024));
    const before = { ...old, changedAt };
    const made = next(before, fleet(4, { 1: { weight: 0.5 } }));
    const taken = [...made.changed].map((bucket) => changedAt[bucket]);
    const left = rows(made.state).flatMap(({ newcomer }, bucket) =>
      newcomer === dip(1) ? [changedAt[bucket]] : [],
    );
    expect(taken.length).toBeGreaterThan(100);
    expect(Math.max(...taken)).toBeLessThan(Math.min(...left));
  });

  it('so that connections of a bucket outlive changes of others', () => {
    // Four servers come one after another: each takes buckets that were not changed for the one before it.
    let state = start(fleet(4), {}, 1024);
    let now = NOW;
    for (let count = 5; count <= 8; count++) {
      now += 61;
      const made = next(state, fleet(count), {}, now);
      expect(kinds(made.moves).replace).toBeUndefined();
      state = made.state;
    }
    // What could only have been had from young holders is had when they are older.
    expect(newFlows(state, 8).slice(0, 4)).toEqual([128, 128, 128, 128]);
    const later = next(state, fleet(8), {}, now + HOUR);
    expect(newFlows(later.state, 8)).toEqual(new Array(8).fill(128));
  });
});

describe('a drain', () => {
  it('moves the server from first to second hop, and breaks nothing', () => {
    const before = start(fleet(4));
    const made = next(before, fleet(4, { 2: { standing: 'drained' } }));
    for (const { old, now } of changedRows(before, made.state)) {
      expect(old).toEqual({ newcomer: dip(2), holder: 0 });
      expect(now.holder).toBe(dip(2));
    }
    expect(made.changed.length).toBe(256);
    expect(newFlows(made.state, 4).sort()).toEqual([0, 341, 341, 342]);
    expect(describeMoves(made, new Map(fleet(4).map((one) => [one.dip, one.name])))).toEqual([
      'drain: 256 buckets from s2 to s1, s3, s4: 256 handovers; nothing breaks',
    ]);
  });

  it('of a UDP-flow trafficset leaves the server first hop, and the new one becomes second', () => {
    const before = start(fleet(4), { scheme: 'switched' });
    const made = next(before, fleet(4, { 2: { standing: 'drained' } }), { scheme: 'switched' });
    for (const bucket of made.changed) {
      expect(made.state.slots[2 * bucket]).toBe(dip(2));
      expect([dip(1), dip(3), dip(4)]).toContain(made.state.slots[2 * bucket + 1]);
    }
    expect(made.changed.length).toBe(256);
  });

  it('swaps where the second hop can take over', () => {
    const before = start(fleet(4), {}, 1024, true);
    const made = next(before, fleet(4, { 2: { standing: 'drained' } }));
    expect(kinds(made.moves).swap).toBeGreaterThan(250);
    for (const { old, now } of changedRows(before, made.state)) expect(now.holder).toBe(old.newcomer);
  });

  it('waits where a young holder that cannot take over would be pushed out', () => {
    const first = next(start(fleet(3)), fleet(3, { 1: { standing: 'drained' } }));
    const servers = fleet(3, { 1: { standing: 'drained' }, 2: { standing: 'drained' } });
    const held = rows(first.state).filter(
      ({ newcomer, holder }) => newcomer === dip(2) && holder === dip(1),
    ).length;
    expect(held).toBeGreaterThan(0);
    const second = next(first.state, servers, {}, NOW + 100);
    expect(newFlows(second.state, 3)[1]).toBe(held);
    expect(kinds(second.moves).replace).toBeUndefined();
    expect(second.waiting).toEqual([
      `new flows leave s2 later: ${held} buckets keep older flows of others for 3600 s`,
    ]);
    expect(second.nextAt).toBe(NOW + HOUR);
    const third = next(second.state, servers, {}, NOW + HOUR);
    expect(newFlows(third.state, 3)).toEqual([0, 0, 1024]);
    expect(third.waiting).toEqual([]);
  });

  it('lets a young holder take over beyond its share, which breaks nothing', () => {
    // s3 took all from s1 a moment ago; s3 is drained, and s1 is back: its buckets return, whatever its share.
    const servers = (first: number, third: number) =>
      fleet(3, { 1: { weight: first }, 3: { weight: third } });
    const first = next(start(fleet(2)), servers(0, 1));
    const second = next(first.state, servers(0.01, 0), {}, NOW + 10);
    expect(kinds(second.moves).replace).toBeUndefined();
    expect(newFlows(second.state, 3)[2]).toBe(0);
  });
});

describe('adding a server', () => {
  it('to a TCP trafficset makes it first hop, and who was first becomes second', () => {
    const before = start(fleet(3));
    const made = next(before, fleet(4));
    for (const bucket of made.changed) {
      expect(made.state.slots[2 * bucket]).toBe(dip(4));
      expect(made.state.slots[2 * bucket + 1]).toBe(before.slots[2 * bucket]);
    }
    expect(made.changed.length).toBe(256);
    expect(newFlows(made.state, 4)).toEqual([256, 256, 256, 256]);
    expect(rules(made)).toEqual(['join']);
  });

  it('to a UDP-flow trafficset makes it second hop, and who was there stays first', () => {
    const before = start(fleet(3), { scheme: 'switched' });
    const made = next(before, fleet(4), { scheme: 'switched' });
    for (const bucket of made.changed) {
      expect(made.state.slots[2 * bucket]).toBe(before.slots[2 * bucket]);
      expect(made.state.slots[2 * bucket + 1]).toBe(dip(4));
    }
    expect(newFlows(made.state, 4, 'switched')).toEqual([256, 256, 256, 256]);
  });

  it('to a request-response trafficset fills the one slot there is', () => {
    const before = start(fleet(3), { scheme: 'single' });
    const made = next(before, fleet(4), { scheme: 'single' });
    for (const bucket of made.changed) {
      expect(made.state.slots[2 * bucket]).toBe(dip(4));
      expect(made.state.slots[2 * bucket + 1]).toBe(0);
    }
    expect(kinds(made.moves)).toEqual({ move: 256 });
  });

  it('says which part of the table takes a second hop then', () => {
    const before = start(fleet(3));
    const made = next(before, fleet(4));
    expect(secondHopShare(before, made.state)).toEqual({ buckets: 1024, before: 0, after: 256, moved: 256 });
    const filled = start(fleet(3), {}, 1024, true);
    const drained = next(filled, fleet(3, { 1: { standing: 'drained' } }));
    const share = secondHopShare(filled, drained.state);
    expect(share).toEqual({ buckets: 1024, before: 1024, after: 1024, moved: drained.changed.length });
  });

  it('that was drained takes its buckets back by swaps', () => {
    const drained = next(start(fleet(4)), fleet(4, { 2: { standing: 'drained' } }));
    const back = next(drained.state, fleet(4), {}, NOW + 10);
    expect(kinds(back.moves)).toEqual({ swap: 256 });
    expect(rules(back)).toEqual(['join']);
    expect(newFlows(back.state, 4)).toEqual([256, 256, 256, 256]);
  });
});

describe('a server that fails', () => {
  it('gets no new flows at once, whatever the bound, and keeps those that it has', () => {
    const before = start(fleet(4));
    const made = next(before, fleet(4, { 3: { standing: 'down' } }), { maxChangePerMinute: 0.01 });
    expect(newFlows(made.state, 4)[2]).toBe(0);
    expect(kinds(made.moves)).toEqual({ handover: 256 });
    expect(rules(made)).toEqual(['health']);
    for (const { now } of changedRows(before, made.state)) expect(now.holder).toBe(dip(3));
  });

  it('gives way to a young holder rather than have it pushed out', () => {
    const joined = next(start(fleet(3)), fleet(4));
    const made = next(joined.state, fleet(4, { 4: { standing: 'down' } }), {}, NOW + 10);
    expect(kinds(made.moves)).toEqual({ swap: 256 });
  });

  it('pushes out a young holder that cannot take over', () => {
    const drained = next(start(fleet(3)), fleet(3, { 1: { standing: 'drained' } }));
    const servers = fleet(3, { 1: { standing: 'drained' }, 2: { standing: 'down' } });
    const made = next(drained.state, servers, {}, NOW + 10);
    expect(newFlows(made.state, 3)).toEqual([0, 0, 1024]);
    const pushed = changedRows(drained.state, made.state).filter(({ old }) => old.holder === dip(1));
    expect(kinds(made.moves).replace).toBe(pushed.length);
    expect(pushed.every(({ now }) => now.holder === dip(2))).toBe(true);
  });

  it('comes back by swaps', () => {
    const down = next(start(fleet(4)), fleet(4, { 3: { standing: 'down' } }));
    const back = next(down.state, fleet(4), {}, NOW + 30);
    expect(kinds(back.moves)).toEqual({ swap: 256 });
  });
});

describe('a server that is gone', () => {
  it('leaves both slots, and pushes nobody out', () => {
    const before = start(fleet(4), {}, 1024, true);
    const made = next(before, fleet(3));
    for (const { newcomer, holder } of rows(made.state)) {
      expect(newcomer).not.toBe(dip(4));
      expect(holder).not.toBe(dip(4));
    }
    for (const { old, now } of changedRows(before, made.state)) {
      for (const address of [old.newcomer, old.holder]) {
        if (address !== dip(4)) expect([now.newcomer, now.holder]).toContain(address);
      }
    }
    expect(kinds(made.moves)).toEqual({ move: 256, clear: made.changed.length - 256 });
    expect(rules(made)).toEqual(['gone']);
  });

  it('is the same by its standing as by its absence', () => {
    const before = start(fleet(4), {}, 1024, true);
    const said = next(before, fleet(4, { 4: { standing: 'gone' } }));
    expect(said.state).toEqual(next(before, fleet(3)).state);
  });

  it('is not followed by an empty table when it was the last', () => {
    const before = start(fleet(2));
    for (const servers of [[], fleet(2, { 1: { standing: 'gone' }, 2: { weight: 0 } })]) {
      const made = next(before, servers);
      expect(made.state).toBe(before);
      expect(made.waiting).toEqual(['no server may get new flows: the table stays as it is']);
    }
  });
});

describe('the bound on changes', () => {
  it('spreads a change over minutes, and counts what had to be done', () => {
    let state = start(fleet(3));
    const settings = { maxChangePerMinute: 0.1 };
    const sizes: number[] = [];
    let now = NOW;
    for (;;) {
      const made = next(state, fleet(4), settings, now);
      sizes.push(made.changed.length);
      state = made.state;
      if (made.nextAt === null) break;
      expect(made.nextAt).toBe(now + 60);
      expect(made.waiting[0]).toMatch(/no more than 10 % of the table may change in a minute/);
      expect(next(state, fleet(4), settings, now + 59).changed.length).toBe(0);
      now = made.nextAt;
    }
    expect(sizes).toEqual([102, 102, 52]);

    const failed = next(state, fleet(4, { 1: { standing: 'down' } }), settings, now + 100);
    const drain = fleet(4, { 1: { standing: 'down' }, 2: { standing: 'drained' } });
    expect(next(failed.state, drain, settings, now + 101).changed.length).toBe(0);
  });

  it('gives a joining server its part from all others at once, in proportion', () => {
    const made = next(start(fleet(4), {}, 4096), fleet(5), { maxChangePerMinute: 0.05 });
    expect(made.changed.length).toBe(204);
    for (const { buckets } of made.moves) expect(Math.abs(buckets - 51)).toBeLessThan(25);
  });
});

describe('a clock that was wrong', () => {
  it('does not keep buckets young for ever', () => {
    const joined = next(start(fleet(2)), fleet(3), {}, NOW + 1_000_000);
    const servers = fleet(3, { 1: { standing: 'drained' }, 3: { standing: 'drained' } });
    let made = next(joined.state, servers, {}, NOW);
    expect(made.nextAt).toBe(NOW + HOUR);
    made = next(made.state, servers, {}, NOW + HOUR);
    expect(newFlows(made.state, 3)).toEqual([0, 1024, 0]);
  });
});

describe('bad input', () => {
  it('is refused by name', () => {
    const state = start(fleet(2));
    const bad = (change: object) => () => next(state, fleet(2, { 2: change }));
    expect(bad({ dip: dip(1) })).toThrow('servers s1 and s2 have the same DIP 10.0.1.1: give each its own');
    expect(bad({ dip: 0 })).toThrow('server s2: 0 is no DIP');
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(bad({ weight })).toThrow(`server s2 has weight ${weight}: give a number from 0`);
    }
  });

  it('in the state is not changed by planning', () => {
    const state = start(fleet(3), {}, 1024, true);
    const slots = [...state.slots];
    plan(state, SETTINGS, { now: NOW, servers: fleet(2), loads: null });
    expect([...state.slots]).toEqual(slots);
    expect(state.changedAt.every((time) => time === 0)).toBe(true);
  });
});
