import { type BalanceConfig, balanceShape } from '../table/control.js';
import type { TrafficsetConfig } from '../table/trafficset.js';

/** How a trafficset is balanced: what cluster.yaml says, or the defaults. */
export function balanceOf({ balance }: Pick<TrafficsetConfig, 'balance'>): BalanceConfig {
  return balance ?? balanceShape.parse({});
}
