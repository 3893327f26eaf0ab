import fc from 'fast-check';
import {
  type BalanceSettings,
  type HopScheme,
  initialState,
  type Plan,
  type PlannedServer,
  type PlannerState,
  plan,
} from '../../../src/conductor/plan/index.js';
import { fleet, NOW, SETTINGS } from './support.js';

/** Random histories of a small fleet, and playing them. */

export const BUCKETS = 256;
const MOST_SERVERS = 6;

type Event =
  | { readonly type: 'standing'; readonly server: number; readonly standing: PlannedServer['standing'] }
  | { readonly type: 'remove'; readonly server: number }
  | { readonly type: 'weight'; readonly server: number; readonly weight: number }
  | { readonly type: 'pool'; readonly server: number; readonly pool: string }
  | { readonly type: 'loads'; readonly loads: readonly (number | null)[] }
  | { readonly type: 'wait'; readonly seconds: number };

const server = fc.integer({ min: 1, max: MOST_SERVERS });
/** What operators and load do. */
const planned: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('standing' as const),
      server,
      standing: fc.constantFrom('in' as const, 'in' as const, 'drained' as const),
    }),
  },
  fc.record({ type: fc.constant('weight' as const), server, weight: fc.constantFrom(0, 0.5, 1, 1, 3) }),
  fc.record({
    type: fc.constant('pool' as const),
    server,
    pool: fc.constantFrom('default', 'second', 'unused'),
  }),
  fc.record({
    type: fc.constant('loads' as const),
    loads: fc.array(fc.option(fc.double({ min: 0, max: 4, noNaN: true }), { freq: 4 }), {
      minLength: MOST_SERVERS,
      maxLength: MOST_SERVERS,
    }),
  }),
  fc.record({ type: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20, 58, 61, 1000, 4000) }),
);
/** What nobody wants. */
const failures: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    type: fc.constant('standing' as const),
    server,
    standing: fc.constantFrom('down' as const, 'gone' as const),
  }),
  fc.record({ type: fc.constant('remove' as const), server }),
);

export interface History {
  readonly scheme: HopScheme;
  readonly filled: boolean;
  readonly maxChangePerMinute: number;
  readonly minHolderAge: number;
  readonly events: readonly Event[];
}

const SCHEMES: readonly HopScheme[] = ['tcp', 'switched', 'single'];

/** @param schemes those that the property is about */
export function histories(schemes: readonly HopScheme[] = SCHEMES): fc.Arbitrary<History> {
  return historiesOf(schemes, fc.oneof({ weight: 3, arbitrary: planned }, failures));
}

/** In which no server fails or goes without a drain before. */
export function plannedHistories(): fc.Arbitrary<History> {
  return historiesOf(SCHEMES, planned);
}

function historiesOf(schemes: readonly HopScheme[], event: fc.Arbitrary<Event>): fc.Arbitrary<History> {
  return fc.record({
    scheme: fc.constantFrom(...schemes),
    filled: fc.boolean(),
    maxChangePerMinute: fc.constantFrom(0.05, 0.25, 1),
    minHolderAge: fc.constantFrom(0, 30, 3600),
    events: fc.array(event, { minLength: 1, maxLength: 25 }),
  });
}

export interface Step {
  readonly before: PlannerState;
  readonly made: Plan;
  readonly servers: readonly PlannedServer[];
  readonly settings: BalanceSettings;
  readonly now: number;
  readonly loads: ReadonlyMap<string, number> | null;
}

export interface End extends Pick<Step, 'servers' | 'settings' | 'now'> {
  readonly state: PlannerState;
}

/** Plays a history; `check` sees each step. @returns what there is at its end */
export function play(history: History, check: (step: Step) => void = () => {}): End {
  const { scheme, filled, maxChangePerMinute, minHolderAge, events } = history;
  const pools = { default: 2, second: 0.5 };
  const settings = { ...SETTINGS, scheme, maxChangePerMinute, minHolderAge, pools };
  const known = new Map(fleet(3).map((one) => [one.name, one]));
  let now = NOW;
  let state = initialState({ buckets: BUCKETS, settings, servers: fleet(3), fillHolders: filled });
  for (const event of events) {
    now += event.type === 'wait' ? event.seconds : 1;
    const loads = event.type === 'loads' ? samples(event.loads) : null;
    apply(event, known);
    const servers = [...known.values()];
    const made = plan(state, settings, { now, servers, loads });
    check({ before: state, made, settings, now, servers, loads });
    state = made.state;
  }
  return { state, settings, servers: [...known.values()], now };
}

function samples(loads: readonly (number | null)[]): ReadonlyMap<string, number> {
  const known = loads.map((load, index): [string, number | null] => [`s${index + 1}`, load]);
  return new Map(known.filter((entry): entry is [string, number] => entry[1] !== null));
}

function apply(event: Event, known: Map<string, PlannedServer>): void {
  if (event.type === 'loads' || event.type === 'wait') return;
  const name = `s${event.server}`;
  if (event.type === 'remove') {
    known.delete(name);
    return;
  }
  const { type: _, server, ...change } = event;
  known.set(name, { ...(known.get(name) ?? fleet(server)[server - 1]), ...change });
}

/** Plans on for as long as anything waits, each time when the plan before said that it may be possible. */
export function settle({ state, settings, servers, now }: End): Plan {
  for (let steps = 0; steps < 200; steps++) {
    const made = plan(state, settings, { now, servers, loads: null });
    if (made.nextAt === null) return made;
    if (made.nextAt <= now) throw new Error('waits for a time that is not in the future');
    now = made.nextAt;
    state = made.state;
  }
  throw new Error('does not settle');
}
