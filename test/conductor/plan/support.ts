import {
  type BalanceSettings,
  initialState,
  type PlannedServer,
  type PlannerState,
  plan,
  shares,
} from '../../../src/conductor/plan/index.js';
import { holderOf, newcomerOf } from '../../../src/conductor/plan/rows.js';

/** Helpers of the planner's tests. */

/** Some day, in Unix seconds. */
export const NOW = 1_700_000_000;

export const SETTINGS: BalanceSettings = {
  scheme: 'tcp',
  pools: { default: 1 },
  maxChangePerMinute: 1,
  minHolderAge: 3600,
  gain: 0.5,
  deadBand: 0.02,
  maxCorrectionStep: 1.5,
  maxCorrection: 4,
};

/** DIP of server number n. */
export function dip(number: number): number {
  return 0x0a000001 + (number << 8);
}

/** s1, s2 ... in the default pool, all in, with what `change` says of some. */
export function fleet(
  count: number,
  change: Readonly<Record<number, Partial<PlannedServer>>> = {},
): PlannedServer[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `s${index + 1}`,
    dip: dip(index + 1),
    weight: 1,
    pool: 'default',
    standing: 'in' as const,
    ...change[index + 1],
  }));
}

export function start(
  servers: readonly PlannedServer[],
  settings: Partial<BalanceSettings> = {},
  buckets = 1024,
  fillHolders = false,
): PlannerState {
  return initialState({ buckets, settings: { ...SETTINGS, ...settings }, servers, seed: 7, fillHolders });
}

/** One step without loads, with nothing in its way: as long after the last one as it takes. */
export function next(
  state: PlannerState,
  servers: readonly PlannedServer[],
  settings: Partial<BalanceSettings> = {},
  now = NOW,
  loads: ReadonlyMap<string, number> | null = null,
) {
  return plan(state, { ...SETTINGS, ...settings }, { now, servers, loads });
}

/** Buckets with new flows of s1, s2 ... */
export function newFlows(
  state: PlannerState,
  count: number,
  scheme: BalanceSettings['scheme'] = 'tcp',
): number[] {
  const counts = shares(state, scheme);
  return Array.from({ length: count }, (_, index) => counts.get(dip(index + 1))?.newFlows ?? 0);
}

export interface Row {
  readonly newcomer: number;
  readonly holder: number;
}

export function rows(state: PlannerState, scheme: BalanceSettings['scheme'] = 'tcp'): Row[] {
  return Array.from({ length: state.slots.length / 2 }, (_, bucket) => ({
    newcomer: newcomerOf(scheme, state.slots, bucket),
    holder: holderOf(scheme, state.slots, bucket),
  }));
}

/** Buckets moved by kind. */
export function kinds(moves: readonly { readonly kind: string; readonly buckets: number }[]) {
  const counts: Record<string, number> = {};
  for (const { kind, buckets } of moves) counts[kind] = (counts[kind] ?? 0) + buckets;
  return counts;
}
