import { correctionsOf, Fleet, Place } from './fleet.js';
import type { BalanceSettings, PlannedServer, PlannerState } from './types.js';

/**
 * In how many buckets each server is to get new flows. Pools share the table by their weights, whatever the number of
 * their servers; inside a pool, servers share by weight times correction.
 */

/**
 * @returns exact shares by number, in buckets; together the whole table, 0 for servers that get no new flows
 */
export function exactTargets(
  fleet: Fleet,
  { pools }: BalanceSettings,
  corrections: Float64Array,
  buckets: number,
): Float64Array {
  const sums = new Map<string, number>();
  for (let server = 1; server < fleet.size; server++) {
    if (fleet.places[server] !== Place.Serves) continue;
    const pool = fleet.pools[server];
    sums.set(pool, (sums.get(pool) ?? 0) + fleet.weights[server] * corrections[server]);
  }
  let poolWeights = 0;
  for (const pool of sums.keys()) poolWeights += pools[pool];
  const exact = new Float64Array(fleet.size);
  for (let server = 1; server < fleet.size; server++) {
    if (fleet.places[server] !== Place.Serves) continue;
    const pool = fleet.pools[server];
    const share = (fleet.weights[server] * corrections[server]) / (sums.get(pool) ?? 1);
    exact[server] = buckets * (pools[pool] / poolWeights) * share;
  }
  return exact;
}

/**
 * Whole numbers next to the exact ones, adding up to the table. A server that has one of the two numbers next to its
 * share keeps it if it can: so that a table that follows its targets is left alone.
 *
 * @param has in how many buckets each server gets new flows now
 */
export function wholeTargets(exact: Float64Array, has: Uint32Array, buckets: number): Uint32Array {
  const whole = new Uint32Array(exact.length);
  let missing = buckets;
  for (let server = 1; server < exact.length; server++) {
    whole[server] = Math.min(Math.max(has[server], Math.floor(exact[server])), Math.ceil(exact[server]));
    missing -= whole[server];
  }
  // Whoever is nearest to the other number changes to it. The order does not depend on what servers have, so that a plan
  // that is made in several steps goes to one and the same end.
  const step = Math.sign(missing);
  const movable = [...whole.keys()].filter((server) =>
    step > 0 ? whole[server] < exact[server] : whole[server] > exact[server],
  );
  const remainder = (server: number) => exact[server] - Math.floor(exact[server]);
  movable.sort((a, b) => step * (remainder(b) - remainder(a)) || a - b);
  for (const server of movable.slice(0, Math.abs(missing))) whole[server] += step;
  return whole;
}

/** What each server should have by its weight, its pool and its correction: buckets (not whole), by name. */
export function targets(
  buckets: number,
  settings: BalanceSettings,
  servers: readonly PlannedServer[],
  corrections: PlannerState['corrections'] = new Map(),
): ReadonlyMap<string, number> {
  const fleet = new Fleet(servers, settings);
  const exact = exactTargets(fleet, settings, correctionsOf(fleet, { corrections }), buckets);
  return new Map(fleet.names.slice(1).map((name, index) => [name, exact[index + 1]]));
}
