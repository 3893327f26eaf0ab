import { hasSecondHop, type TrafficsetConfig } from '../../table/trafficset.js';
import { balanceOf } from '../settings.js';
import type { BalanceSettings, HopScheme } from './types.js';

/** Most that one balance step changes a server's share: a half more, or a third less. */
const MAX_CORRECTION_STEP = 1.5;
/** How far the control loop may leave a server's weight: four times slower or faster than it says. */
const MAX_CORRECTION = 4;

/** What cluster.yaml says of a trafficset, as the planner wants it. */
export function settingsOf(
  trafficset: Pick<TrafficsetConfig, 'kind' | 'sessions' | 'balance'>,
): BalanceSettings {
  const balance = balanceOf(trafficset);
  return {
    scheme: schemeOf(trafficset),
    pools: balance.pools,
    maxChangePerMinute: balance.max_change_per_minute,
    minHolderAge: balance.min_second_hop_age_seconds,
    gain: balance.gain,
    deadBand: balance.dead_band,
    maxCorrectionStep: MAX_CORRECTION_STEP,
    maxCorrection: MAX_CORRECTION,
  };
}

/** Which hop of a trafficset gets new flows. */
export function schemeOf(trafficset: Pick<TrafficsetConfig, 'kind' | 'sessions'>): HopScheme {
  if (!hasSecondHop(trafficset)) return 'single';
  return trafficset.kind === 'tcp' ? 'tcp' : 'switched';
}
