import type { PlannedServer } from './plan/index.js';

/** Load compared: each server with the mean of those of its pool that get new flows. */

/** @returns load as a share of the pool's mean, 1 being the mean itself, by name; servers without a sample are left out */
export function deviationsOf(
  loads: ReadonlyMap<string, number>,
  servers: readonly PlannedServer[],
): Map<string, number> {
  const pools = new Map<string, { sum: number; servers: number }>();
  for (const { name, pool, standing } of servers) {
    const load = loads.get(name);
    if (load === undefined || standing !== 'in') continue;
    const of = pools.get(pool) ?? { sum: 0, servers: 0 };
    pools.set(pool, { sum: of.sum + load, servers: of.servers + 1 });
  }
  const relative = new Map<string, number>();
  for (const { name, pool, standing } of servers) {
    const load = loads.get(name);
    const of = pools.get(pool);
    if (load === undefined || of === undefined || of.sum === 0 || standing !== 'in') continue;
    relative.set(name, load / (of.sum / of.servers));
  }
  return relative;
}

/** @returns share of the mean; null when there is nothing to compare */
export function largestDeviation(relative: ReadonlyMap<string, number>): number | null {
  if (relative.size === 0) return null;
  return Math.max(...[...relative.values()].map((load) => Math.abs(load - 1)));
}
