import type { ClusterConfig } from '../table/cluster.js';
import { type BalanceConfig, balanceShape } from '../table/control.js';
import type { TrafficsetConfig } from '../table/trafficset.js';

/** How a trafficset is balanced: what cluster.yaml says, or the defaults. */
export function balanceOf({ balance }: Pick<TrafficsetConfig, 'balance'>): BalanceConfig {
  return balance ?? balanceShape.parse({});
}

/** Names of settings that are another and stay as they were at the start until the conductor is started again. */
export function needRestart(before: ClusterConfig, after: ClusterConfig): string[] {
  const [old, next] = [before.control, after.control];
  const fixed = ['lease_seconds', 'state', 'admin'] as const;
  return [
    ...(old.store === next.store ? [] : ['store']),
    ...fixed
      .filter((name) => JSON.stringify(old.conductor[name]) !== JSON.stringify(next.conductor[name]))
      .map((name) => `conductor.${name}`),
  ];
}
