import { type Fleet, Place } from './fleet.js';
import type { BalanceSettings } from './types.js';

/**
 * The control loop: what measured load makes of the weights. Each step changes a server's correction in proportion to
 * the deviation of its load from the mean of its pool, so that the loads converge on the mean.
 */

/** As far as the bounds force corrections away from where they balance, the others make up for it in so many rounds. */
const ROUNDS = 8;

/** Arrays are by number of the server. */
export interface CorrectOptions {
  readonly fleet: Fleet;
  readonly settings: BalanceSettings;
  /** Before; not changed. */
  readonly corrections: Float64Array;
  /** Shares that they give, in buckets. */
  readonly exact: Float64Array;
  /** In how many buckets each server gets new flows. */
  readonly has: Uint32Array;
  /** By name. */
  readonly loads: ReadonlyMap<string, number>;
}

/**
 * One balance step.
 *
 * A server without a sample keeps its correction and its share: those with a sample only exchange among one another. A
 * server whose table has not followed yet in the direction in which its load points is not corrected further that way,
 * since its load says nothing about the correction (the loop would wind up and overshoot).
 *
 * @returns the corrections after; the same array when nothing changed
 */
export function correct({ fleet, settings, corrections, exact, has, loads }: CorrectOptions): Float64Array {
  const pools = new Map<string, Sample[]>();
  for (let server = 1; server < fleet.size; server++) {
    const load = loads.get(fleet.names[server]);
    if (fleet.places[server] !== Place.Serves || load === undefined) continue;
    if (!(load >= 0 && Number.isFinite(load))) continue;
    const lag = has[server] > Math.ceil(exact[server]) ? 1 : has[server] < Math.floor(exact[server]) ? -1 : 0;
    const sample = { server, load, lag };
    const pool = pools.get(fleet.pools[server]);
    if (pool === undefined) pools.set(fleet.pools[server], [sample]);
    else pool.push(sample);
  }
  const after = corrections.slice();
  let changed = false;
  for (const samples of pools.values()) {
    if (correctPool(fleet, settings, after, samples)) changed = true;
  }
  return changed ? after : corrections;
}

interface Sample {
  readonly server: number;
  readonly load: number;
  /** 1: it still has more than its share, -1: less. */
  readonly lag: number;
}

/** @returns whether anything changed */
function correctPool(
  fleet: Fleet,
  settings: BalanceSettings,
  corrections: Float64Array,
  samples: readonly Sample[],
): boolean {
  const { gain, deadBand, maxCorrectionStep } = settings;
  const mean = samples.reduce((sum, { load }) => sum + load, 0) / samples.length;
  if (samples.length < 2 || !(mean > 0)) return false;
  const total = weigh(fleet, corrections, samples);
  let changed = false;
  for (const { server, load, lag } of samples) {
    const deviation = (load - mean) / mean;
    if (Math.abs(deviation) <= deadBand || Math.sign(deviation) === lag) continue;
    corrections[server] *= clamp(1 - gain * deviation, maxCorrectionStep);
    changed = true;
  }
  if (changed) restore(fleet, settings.maxCorrection, corrections, samples, total);
  return changed;
}

/**
 * Scales the corrections of the sampled servers so that they have together what they had: those without a sample keep
 * their shares. What bounds cut off is made up for by the others.
 */
function restore(
  fleet: Fleet,
  bound: number,
  corrections: Float64Array,
  samples: readonly Sample[],
  total: number,
): void {
  let free = samples;
  let left = total;
  for (let round = 0; round < ROUNDS && free.length > 0 && left > 0; round++) {
    const factor = left / weigh(fleet, corrections, free);
    const bounded = new Set<Sample>();
    for (const sample of free) {
      const wanted = corrections[sample.server] * factor;
      corrections[sample.server] = clamp(wanted, bound);
      if (corrections[sample.server] !== wanted) bounded.add(sample);
    }
    if (bounded.size === 0) return;
    left -= weigh(fleet, corrections, [...bounded]);
    free = free.filter((sample) => !bounded.has(sample));
  }
}

function weigh(fleet: Fleet, corrections: Float64Array, samples: readonly Sample[]): number {
  return samples.reduce((sum, { server }) => sum + fleet.weights[server] * corrections[server], 0);
}

/** Between 1/bound and bound. */
function clamp(value: number, bound: number): number {
  return Math.min(Math.max(value, 1 / bound), bound);
}
