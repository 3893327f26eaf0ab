/**
 * The planner: from servers, weights, health and load to the next forwarding table, with a reason for each change. Pure.
 * Its rules and where they come from: `native-notes/planner.md`.
 */
export {
  type BucketShare,
  breaks,
  describeMoves,
  type SecondHopShare,
  secondHopShare,
  shares,
} from './describe.js';
export {
  bucketsFor,
  fromTable,
  type InitialOptions,
  initialState,
  type KnownOfTable,
  toTable,
} from './initial.js';
export { plan } from './plan.js';
export { schemeOf, settingsOf } from './settings.js';
export { targets } from './targets.js';
export * from './types.js';
