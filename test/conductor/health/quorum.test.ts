import { describe, expect, it } from 'vitest';
import { judgeGroup, type Verdict } from '../../../src/conductor/health/group.js';
import { judgeQuorum } from '../../../src/conductor/health/quorum.js';
import { down, group, member, up } from './support.js';

const UP: Verdict = { up: true, why: '', latency: null };
const DOWN: Verdict = { up: false, why: 'web: HTTP 503', latency: null };
const OPEN: Verdict = { up: null, why: 'no result yet of web', latency: null };

function judge(...verdicts: Verdict[]) {
  return judgeQuorum(new Map(verdicts.map((verdict, index) => [`n${index + 1}`, verdict])));
}

describe('a quorum of vantages', () => {
  it("says UP in the text's example: six data centers, one of which sees the critical HTTP monitor fail", () => {
    const checks = group(member('http', { must_be_healthy: true }), member('tcp-3000'), member('db'));
    const fine = { http: up(), 'tcp-3000': up(), db: up() };
    const seen = {
      'west-1': fine,
      'west-2': fine,
      'west-3': { ...fine, db: down('exit code 1') },
      'east-1': fine,
      // Two of three monitors are healthy, and it is DOWN all the same.
      'east-2': { ...fine, http: down('HTTP 500') },
      'east-3': { ...fine, 'tcp-3000': down('connection refused') },
    };
    const each = new Map(
      Object.entries(seen).map(([name, results]) => [
        name,
        judgeGroup(checks, new Map(Object.entries(results))),
      ]),
    );
    expect([...each].filter(([, verdict]) => verdict.up === false).map(([name]) => name)).toEqual(['east-2']);
    expect([...each.values()].filter((verdict) => verdict.up).length / 6).toBeCloseTo(0.83, 2);
    expect(judgeQuorum(each)).toEqual({ up: true, why: '', latency: null });
  });

  it('is up by more than half of the vantages, and down by half of them', () => {
    expect(judge(UP, UP, DOWN).up).toBe(true);
    expect(judge(UP, DOWN).up).toBe(false);
    expect(judge(UP, DOWN, DOWN).up).toBe(false);
  });

  it('counts those that report only', () => {
    expect(judge(UP, OPEN, OPEN, OPEN).up).toBe(true);
    expect(judge(DOWN, OPEN, OPEN).up).toBe(false);
  });

  it('is not known when nobody reports', () => {
    expect(judge()).toEqual({ up: null, why: 'nobody reports', latency: null });
    expect(judge(OPEN, OPEN)).toMatchObject({ up: null, why: 'no result yet of web' });
  });

  it('says each reason once, with who gives it', () => {
    const other = { ...DOWN, why: 'web: no answer in 2 s' };
    expect(judge(DOWN, other, DOWN, UP).why).toBe(
      '3 of 4 vantages: web: HTTP 503 (n1, n3); web: no answer in 2 s (n2)',
    );
  });

  it('has the mean latency of the vantages that report and measured one', () => {
    expect(judge({ ...UP, latency: 2 }, { ...UP, latency: 4 }, UP, { ...OPEN, latency: 100 }).latency).toBe(
      3,
    );
  });
});
