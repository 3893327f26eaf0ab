import { describe, expect, it } from 'vitest';
import { plan } from '../../src/conductor/plan/index.js';
import type { BalanceSettings, Plan, PlannerState, PlanStep } from '../../src/conductor/plan/types.js';
import { drawResult, formatCount, formatLifetime } from '../../src/simulation/charts.js';
import {
  SCHEMES,
  type SimulationOptions,
  type SimulationResult,
  simulate,
} from '../../src/simulation/simulate.js';

/** Long enough for the beginning of the deploys. */
const SMALL: SimulationOptions = { servers: 16, hours: 10, seed: 3, buckets: 2048, groups: 2048 };

function schemeOf(result: SimulationResult, name: string) {
  const scheme = result.schemes.find((one) => one.name === name);
  if (scheme === undefined) throw new Error(`no scheme ${name}`);
  return scheme;
}

function brokenBy(result: SimulationResult, name: string): number {
  return schemeOf(result, name).brokenByTable.reduce((sum, broken) => sum + broken, 0);
}

/** Moves as many buckets as the planner wants, but takes the first it finds and throws their holders out. */
function carelessPlan(state: PlannerState, settings: BalanceSettings, step: PlanStep, seed?: number): Plan {
  const wanted = plan(state, { ...settings, minHolderAge: 0 }, step, seed);
  const slots = state.slots.slice();
  const changed = new Set<number>();
  for (const { from, to, buckets } of wanted.moves) {
    let left = buckets;
    for (let bucket = 0; 2 * bucket < slots.length && left > 0; bucket++) {
      if (slots[2 * bucket] !== from || slots[2 * bucket + 1] === to || changed.has(bucket)) continue;
      slots[2 * bucket] = to;
      slots[2 * bucket + 1] = from;
      changed.add(bucket);
      left--;
    }
  }
  return {
    ...wanted,
    state: { ...wanted.state, slots },
    changed: Uint32Array.from([...changed].sort((a, b) => a - b)),
  };
}

describe('a simulated day', () => {
  const result = simulate(SMALL);

  it('comes out the same for the same seed, and differently for another', () => {
    const short = { ...SMALL, hours: 2 };
    const once = JSON.stringify(simulate(short));
    expect(JSON.stringify(simulate(short)) === once).toBe(true);
    expect(JSON.stringify(simulate({ ...short, seed: 4 })) === once).toBe(false);
  });

  it('breaks next to nothing with two hops, and more the less a scheme remembers', () => {
    const broken = (name: string) => brokenBy(result, name);
    expect(broken(SCHEMES.twohop)).toBeLessThan(broken(SCHEMES.oneHop) / 20);
    expect(broken(SCHEMES.twohop)).toBeLessThan(broken(SCHEMES.rendezvous) / 20);
    expect(broken(SCHEMES.rendezvous)).toBeLessThan(broken(SCHEMES.maglev));
    expect(broken(SCHEMES.maglev)).toBeLessThan(broken(SCHEMES.ecmp) / 5);
  });

  it('brings loads to their mean where load is known, and not where it is not', () => {
    expect(schemeOf(result, SCHEMES.twohop).balanced).toBeGreaterThan(0.98);
    expect(schemeOf(result, SCHEMES.rendezvous).balanced).toBeLessThan(0.8);
    expect(schemeOf(result, SCHEMES.ecmp).balanced).toBeLessThan(0.3);
  });

  it('sends some packets over the second hop, and few', () => {
    expect(result.secondHop.mean).toBeGreaterThan(0.0005);
    expect(result.secondHop.mean).toBeLessThan(0.02);
    expect(result.secondHop.largest).toBeGreaterThan(result.secondHop.mean);
  });

  it('breaks more when the planner pushes holders out, young and old', () => {
    const careless = simulate({ ...SMALL, planner: carelessPlan });
    expect(brokenBy(careless, SCHEMES.twohop)).toBeGreaterThan(5 * brokenBy(result, SCHEMES.twohop));
    // Who keeps no table is not concerned.
    expect(brokenBy(careless, SCHEMES.ecmp)).toBe(brokenBy(result, SCHEMES.ecmp));
  });

  it('is drawn as charts', async () => {
    const drawings = await drawResult(result);
    expect(drawings.map(({ file }) => file)).toContain('broken-connections.svg');
    for (const { svg } of drawings) expect(svg).toMatch(/<\/svg>\n$/);
  });

  it('refuses a data center that is none', () => {
    expect(() => simulate({ ...SMALL, servers: 3 })).toThrow(RangeError);
  });
});

describe('numbers in charts', () => {
  it('are short', () => {
    const counts = [0, 999, 1000, 20_986, 3_487_531, 63.7e9];
    expect(counts.map(formatCount)).toEqual(['0', '999', '1k', '21k', '3.5M', '64G']);
    expect([1, 600, 86_400].map(formatLifetime)).toEqual(['1 s', '10 min', '24 h']);
  });
});
