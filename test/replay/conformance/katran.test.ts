import { describe, expect, it } from 'vitest';
import { katranFixtures } from '../../../src/replay/conformance/katran.js';
import { readVectors } from '../../vectors.js';
import { failures, runAll, runDamaged, tally } from './support.js';

interface Fixture {
  suite: string;
  n: number;
  description: string;
  retval: string;
  in: string;
  out: string | null;
}

function fixtures(): Fixture[] {
  return readVectors<Fixture[]>('katran-fixtures');
}

/** One fixture by suite and number, changed. */
function changed(suite: string, n: number, change: (fixture: Fixture) => void): Fixture[] {
  const file = fixtures().filter((fixture) => fixture.suite === suite && fixture.n === n);
  change(file[0]);
  return file;
}

function patch(base64: string | null, offset: number, xor: number): string {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  bytes[offset] ^= xor;
  return bytes.toString('base64');
}

describe("Katran's fixtures", () => {
  it('are answered as Katran did, or not asked', () => {
    const results = runAll(katranFixtures, fixtures());
    expect(results.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(tally(results)).toEqual({ passed: 134, failed: 0, 'not-asked': 27 });
  });

  it('are left out for these reasons only', () => {
    const reasons = new Map<string, number>();
    for (const { outcome, detail } of katranFixtures.run(fixtures())) {
      if (outcome !== 'not-asked') continue;
      const reason = detail[0]
        .replace(/ to \S+, an/, ' to ADDRESS, an')
        .replace(/\d+ bytes/, 'N bytes')
        .split(/[;:]/)[0];
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    expect(Object.fromEntries(reasons)).toEqual({
      'Katran answers echo requests itself': 4,
      'Katran unwraps what comes in a tunnel to ADDRESS, an address of its own': 11,
      'Katran answers a packet of more than N bytes with an ICMP error of its own making': 4,
      "Katran's health checks": 8,
    });
  });

  const IPIP = 14 + 20;
  it.each<[string, Fixture[], RegExp]>([
    [
      'a verdict',
      changed('base', 2, (fixture) => (fixture.retval = 'XDP_PASS')),
      /^expected pass \(XDP_PASS\), got send \(forward\)/,
    ],
    [
      'a destination',
      changed('base', 2, (fixture) => (fixture.in = patch(fixture.in, 14 + 19, 0x40))),
      /^expected send \(XDP_TX\), got pass \(pass_not_vip\)/,
    ],
    [
      'the wrapped packet',
      changed('base', 2, (fixture) => (fixture.out = patch(fixture.out, IPIP + 40, 1))),
      /^wrapped packet:/,
    ],
    [
      'the trace of the client',
      changed('base', 2, (fixture) => (fixture.out = patch(fixture.out, 14 + 15, 1))),
      /^flow: Katran's output has the trace/,
    ],
    [
      'the trace over IPv6',
      changed('base', 6, (fixture) => (fixture.out = patch(fixture.out, 14 + 20, 1))),
      /^flow: /,
    ],
    [
      'the trace in UDP',
      changed('gue', 1, (fixture) => (fixture.out = patch(fixture.out, 14 + 21, 1))),
      /^flow: /,
    ],
    [
      'the trace in UDP over IPv6',
      changed('gue', 4, (fixture) => (fixture.out = patch(fixture.out, 14 + 40, 1))),
      /^flow: /,
    ],
    [
      'the quoted port',
      changed('base', 10, (fixture) => (fixture.in = patch(fixture.in, 14 + 48 + 3, 1))),
      /^wrapped packet:|^flow: /,
    ],
    [
      'an output that is none',
      changed('base', 2, (fixture) => (fixture.out = null)),
      /^Katran's output is no packet in IP or UDP/,
    ],
    [
      'options',
      changed('base', 12, (fixture) => (fixture.retval = 'XDP_PASS')),
      /^expected pass \(XDP_PASS\), got drop \(drop_options\)/,
    ],
    [
      'a fragment',
      changed('base', 14, (fixture) => (fixture.retval = 'XDP_PASS')),
      /got drop \(drop_fragment\)/,
    ],
    [
      'a VIP without servers',
      changed('gue', 35, (fixture) => (fixture.retval = 'XDP_TX')),
      /got drop \(drop_empty_bucket\)/,
    ],
    [
      'a packet that is too big',
      changed('base', 33, (fixture) => (fixture.retval = 'XDP_PASS')),
      /got drop \(drop_too_big\)/,
    ],
    [
      'what was passed',
      changed('base', 15, (fixture) => (fixture.out = patch(fixture.out, 14 + 8, 1))),
      /^passed on:/,
    ],
    [
      'no IP',
      changed('base', 17, (fixture) => (fixture.retval = 'XDP_DROP')),
      /^expected XDP_DROP, got pass: the frame carries no IP/,
    ],
  ])('fail when something is changed: %s', (_, file, message) => {
    const failed = failures(katranFixtures, file);
    expect(failed).toHaveLength(1);
    expect(failed[0].detail[0]).toMatch(message);
  });

  it('tell what is wrong with them', () => {
    const file = changed('base', 1, (fixture) => (fixture.in = 'not base64'));
    expect(failures(katranFixtures, file)[0]).toMatchObject({
      name: 'base/1',
      detail: [expect.stringMatching(/^vector 0 is malformed: in: expected bytes in base64/)],
    });
  });

  it('end with results, whatever was done to them', () => {
    const few = fixtures().filter(({ n }) => n < 12);
    const { ran, refused } = runDamaged(katranFixtures, few, 300);
    expect(ran).toBeGreaterThan(280);
    expect(refused).toBe(0);
  });
});
