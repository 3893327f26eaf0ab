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
export { applyEvent, type FleetEvent, FleetEventError, parseEvent } from './events.js';
export {
  bucketsFor,
  fromTable,
  type InitialOptions,
  initialState,
  type KnownOfTable,
  toTable,
} from './initial.js';
export { NOBODY, plan } from './plan.js';
export { schemeOf, settingsOf } from './settings.js';
export { targets } from './targets.js';
export * from './types.js';
export { type Outcome, type ServerOutcome, type Situation, whatIf } from './what-if.js';
