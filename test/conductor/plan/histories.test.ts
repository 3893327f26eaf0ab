import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HopScheme, plan, shares, targets } from '../../../src/conductor/plan/index.js';
import { runs } from '../../fuzz.js';
import { BUCKETS, histories, plannedHistories, play, type Step, settle } from './histories.js';
import { rows } from './support.js';

/** What holds after any step of any history. Loops over buckets gather what is wrong: an assertion each would take long. */

const RUNS = runs(100);

const TWO_SLOTS: readonly HopScheme[] = ['tcp', 'switched'];

function afterEveryStep(find: (step: Step) => unknown[], schemes?: readonly HopScheme[]): void {
  const property = fc.property(histories(schemes), (history) => {
    play(history, (step) => expect(find(step)).toEqual([]));
  });
  fc.assert(property, RUNS);
}

function atTheEnd(find: (end: ReturnType<typeof play>) => unknown[]): void {
  fc.assert(
    fc.property(histories(), (history) => {
      expect(find(play(history))).toEqual([]);
    }),
    RUNS,
  );
}

/** Standings by DIP; one that is not known is gone. */
function standings({ servers }: Pick<Step, 'servers'>): (dip: number) => string {
  const known = new Map(servers.map(({ dip, standing }) => [dip, standing]));
  return (dip) => known.get(dip) ?? 'gone';
}

/** Who gets new flows. */
function serving({ servers, settings }: Pick<Step, 'servers' | 'settings'>): Set<number> {
  const able = servers.filter(
    ({ standing, weight, pool }) => standing === 'in' && weight > 0 && (settings.pools[pool] ?? 0) > 0,
  );
  return new Set(able.map(({ dip }) => dip));
}

/** Rows before and after, of the buckets that changed. */
function changes({ before, made, settings }: Step) {
  const old = rows(before, settings.scheme);
  const now = rows(made.state, settings.scheme);
  const same = (bucket: number) =>
    old[bucket].newcomer === now[bucket].newcomer && old[bucket].holder === now[bucket].holder;
  return old
    .map((row, bucket) => ({ bucket, old: row, now: now[bucket] }))
    .filter(({ bucket }) => !same(bucket));
}

describe('after any history', () => {
  it('the table is full and has no server twice in a bucket', () => {
    afterEveryStep(({ made, settings }) =>
      rows(made.state, settings.scheme).filter(
        ({ newcomer, holder }) => newcomer === 0 || newcomer === holder,
      ),
    );
  });

  it('there is one slot for request-response', () => {
    afterEveryStep(
      ({ made }) => [...made.state.slots].filter((dip, at) => at % 2 === 1 && dip !== 0),
      ['single'],
    );
  });

  it('whoever got new flows of a bucket still stands in it, unless it is gone', () => {
    afterEveryStep((step) => {
      const standing = standings(step);
      return changes(step).filter(
        ({ old, now }) =>
          standing(old.newcomer) !== 'gone' && ![now.newcomer, now.holder].includes(old.newcomer),
      );
    }, TWO_SLOTS);
  });

  it('a holder too young is pushed out only where the newcomer fails and the holder cannot take over', () => {
    afterEveryStep((step) => {
      const standing = standings(step);
      const able = serving(step);
      return changes(step).filter(({ bucket, old, now }) => {
        const lost = old.holder !== 0 && ![now.newcomer, now.holder].includes(old.holder);
        const young = step.now - step.before.changedAt[bucket] < step.settings.minHolderAge;
        const excused = standing(old.newcomer) === 'down' && !able.has(old.holder);
        return lost && standing(old.holder) !== 'gone' && young && !excused;
      });
    }, TWO_SLOTS);
  });

  it('a gone server is in no slot and a failed one gets no new flows, as long as there is anybody else', () => {
    afterEveryStep((step) => {
      if (serving(step).size === 0) return [];
      const standing = standings(step);
      return rows(step.made.state, step.settings.scheme).filter(
        ({ newcomer, holder }) =>
          ['gone', 'down'].includes(standing(newcomer)) || (holder !== 0 && standing(holder) === 'gone'),
      );
    });
  });

  it('nothing changes when nobody may get new flows', () => {
    afterEveryStep((step) =>
      serving(step).size > 0 || step.made.state === step.before ? [] : [step.made.moves],
    );
  });

  it('no more of the table than the bound has changed in any minute, where no server fails', () => {
    const property = fc.property(plannedHistories(), (history) => {
      const seen = new ChangedBuckets();
      play(history, (step) => {
        seen.add(step);
        const limit = step.settings.maxChangePerMinute * BUCKETS;
        expect(seen.inMinuteBefore(step.now).size).toBeLessThanOrEqual(limit);
      });
    });
    fc.assert(property, runs(300));
  });

  it('failures do not let planned changes go beyond the bound', () => {
    const property = fc.property(histories(), (history) => {
      const seen = new ChangedBuckets();
      play(history, (step) => {
        const standing = standings(step);
        const recent = seen.inMinuteBefore(step.now);
        const fails = (dip: number) => dip !== 0 && ['gone', 'down'].includes(standing(dip));
        const [demanded, planned] = [new Set<number>(), new Set<number>()];
        for (const { bucket, old } of changes(step)) {
          (fails(old.newcomer) || fails(old.holder) ? demanded : planned).add(bucket);
        }
        seen.add(step);
        const counted = new Set([...recent, ...demanded]);
        const fresh = [...planned].filter((bucket) => !counted.has(bucket));
        if (fresh.length === 0) return;
        const limit = step.settings.maxChangePerMinute * BUCKETS;
        expect(counted.size + fresh.length).toBeLessThanOrEqual(limit);
      });
    });
    fc.assert(property, runs(300));
  });

  it('what changed is listed: rows, ages, moves and the version', () => {
    afterEveryStep((step) => {
      const { before, made, now } = step;
      const changed = changes(step).map(({ bucket }) => bucket);
      expect([...made.changed]).toEqual(changed);
      expect(made.state.version).toBe(before.version + (changed.length > 0 ? 1 : 0));
      const cleared = sum(made.moves.filter(({ kind }) => kind === 'clear'));
      const given = sum(made.moves.filter(({ kind }) => kind !== 'clear'));
      expect(given).toBe(changes(step).filter(({ old, now }) => old.newcomer !== now.newcomer).length);
      expect(given + cleared).toBeGreaterThanOrEqual(changed.length);
      return changed.filter((bucket) => made.state.changedAt[bucket] !== now);
    });
  });

  it('the same step gives the same plan, in whatever order servers are listed', () => {
    afterEveryStep(({ before, made, servers, settings, now, loads }) => {
      expect(plan(before, settings, { now, servers, loads })).toEqual(made);
      expect(plan(before, settings, { now, servers: [...servers].reverse(), loads }).state).toEqual(
        made.state,
      );
      return [];
    });
  });

  it('a step that is repeated changes nothing more, or only exchanges, which come to an end, what waits', () => {
    afterEveryStep(({ made, servers, settings, now }) => {
      let last = made;
      for (let repeats = 0; ; repeats++) {
        const again = plan(last.state, settings, { now, servers, loads: null });
        expect(again.waiting.length > 0).toBe(last.waiting.length > 0);
        if (again.state === last.state) return again.moves as unknown[];
        // At the bound, what the last exchanges of a step leave may make room for one more.
        expect(last.waiting).not.toEqual([]);
        expect(again.moves.filter(({ kind }) => kind !== 'swap')).toEqual([]);
        expect(repeats).toBeLessThan(10);
        last = again;
      }
    });
  });

  it('shares reach their targets when time passes, and nothing waits then', () => {
    atTheEnd((end) => {
      if (serving(end).size === 0) return [];
      const { state, waiting } = settle(end);
      const counts = shares(state, end.settings.scheme);
      const off = [...targets(BUCKETS, end.settings, end.servers, state.corrections)].filter(
        ([name, exact]) => {
          const dip = end.servers.find((one) => one.name === name)?.dip ?? 0;
          return Math.abs((counts.get(dip)?.newFlows ?? 0) - exact) > 1 + 1e-9;
        },
      );
      return [...waiting, ...off];
    });
  });
});

/** Which buckets changed when, by the rows themselves. */
class ChangedBuckets {
  private readonly all: { readonly at: number; readonly bucket: number }[] = [];

  add(step: Step): void {
    for (const { bucket } of changes(step)) this.all.push({ at: step.now, bucket });
  }

  /** Of the sixty seconds that end with this one. */
  inMinuteBefore(now: number): Set<number> {
    return new Set(this.all.filter(({ at }) => at > now - 60).map(({ bucket }) => bucket));
  }
}

function sum(moves: readonly { readonly buckets: number }[]): number {
  return moves.reduce((total, { buckets }) => total + buckets, 0);
}
