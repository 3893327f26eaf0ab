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
