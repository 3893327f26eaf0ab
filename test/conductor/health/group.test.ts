import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeGroup } from '../../../src/conductor/health/group.js';
import type { MonitorResult } from '../../../src/store/records.js';
import { down, group, member, up } from './support.js';

/** Three votes and a critical one. */
const FOUR = group(member('login', { must_be_healthy: true }), member('a'), member('b'), member('c'));

function judge(of: typeof FOUR, results: Record<string, MonitorResult>) {
  return judgeGroup(of, new Map(Object.entries(results)));
}

describe('a monitor group', () => {
  it('is up when all members are', () => {
    const all = { login: up(), a: up(), b: up(), c: up() };
    expect(judge(FOUR, all)).toEqual({ up: true, why: '', latency: null });
  });

  it('is down as soon as a critical member is, whatever the others say or have not said yet', () => {
    expect(judge(FOUR, { login: down('HTTP 503'), a: up(), b: up(), c: up() })).toMatchObject({
      up: false,
      why: 'login: HTTP 503 (must be healthy)',
    });
    expect(judge(FOUR, { login: down('HTTP 503') }).up).toBe(false);
  });

  it('is down when more than half of the other members are', () => {
    expect(judge(FOUR, { login: up(), a: down('x'), b: up(), c: up() }).up).toBe(true);
    expect(judge(FOUR, { login: up(), a: down('x'), b: down('y'), c: up() })).toMatchObject({
      up: false,
      why: '2 of 3 monitors: a: x; b: y',
    });
  });

  it('is up when exactly half of the other members are down: half is not more than 50 %', () => {
    const two = group(member('a'), member('b'));
    expect(judge(two, { a: down('x'), b: up() }).up).toBe(true);
    expect(judge(two, { a: down('x'), b: down('y') }).up).toBe(false);
  });

  it('does not let a critical member that is up outvote the others', () => {
    const two = group(member('login', { must_be_healthy: true }), member('a'));
    expect(judge(two, { login: up(), a: down('connection refused') })).toMatchObject({
      up: false,
      why: 'a: connection refused',
    });
  });

  it('is up by its critical members alone when it has no others', () => {
    expect(judge(group(member('login', { must_be_healthy: true })), { login: up() }).up).toBe(true);
  });

  it('watches a member that only observes, without effect, even where it must be healthy', () => {
    const observed = group(member('a'), member('new', { monitoring_only: true, must_be_healthy: true }));
    expect(judge(observed, { a: up(), new: down('x') }).up).toBe(true);
    expect(judge(observed, { a: up() }).up).toBe(true);
    expect(judge(observed, { a: down('x'), new: up() }).up).toBe(false);
  });

  it('ignores members that are not enabled, and monitors that are not in it', () => {
    const one = group(member('a'), member('old', { enabled: false, must_be_healthy: true }));
    expect(judge(one, { a: up(), old: down('x'), other: down('y') }).up).toBe(true);
  });

  it('is not known as long as a missing result could change the verdict, and no longer', () => {
    expect(judge(FOUR, {})).toMatchObject({ up: null, why: 'no result yet of login, a, b, c' });
    expect(judge(FOUR, { login: up(), a: up() })).toMatchObject({ up: null, why: 'no result yet of b, c' });
    expect(judge(FOUR, { a: up(), b: up(), c: up() }).up).toBeNull();
    expect(judge(FOUR, { login: up(), a: up(), b: up() }).up).toBe(true);
    expect(judge(FOUR, { a: down('x'), b: down('y') }).up).toBe(false);
  });

  it('has the mean latency of its active members that have one', () => {
    const observed = group(member('a'), member('b'), member('c'), member('new', { monitoring_only: true }));
    expect(judge(observed, { a: up(2), b: up(4), c: up(), new: up(1000) }).latency).toBe(3);
  });

  it('never takes a verdict back when the missing results arrive', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const members = fc.array(
      fc.record({ critical: fc.boolean(), observes: fc.boolean(), enabled: fc.boolean() }),
      { minLength: 1, maxLength: 5 },
    );
    const bits = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });
    fc.assert(
      fc.property(members, bits, bits, (kinds, healthy, early) => {
        const of = group(
          ...kinds.map(({ critical, observes, enabled }, index) =>
            member(names[index], { must_be_healthy: critical, monitoring_only: observes, enabled }),
          ),
        );
        const all = new Map(kinds.map((_, i) => [names[i], healthy[i] ? up() : down('x')] as const));
        const some = new Map([...all].filter((_, i) => early[i]));
        const final = judgeGroup(of, all).up;
        expect(final).not.toBeNull();
        expect([null, final]).toContain(judgeGroup(of, some).up);
      }),
    );
  });
});
