import { correct } from './corrections.js';
import { list } from './describe.js';
import { correctionsOf, Fleet, Place } from './fleet.js';
import { type Held, Relocation } from './relocate.js';
import { TableWork } from './table-work.js';
import { exactTargets, wholeTargets } from './targets.js';
import type { BalanceSettings, Plan, PlannerState, PlanStep, Rule } from './types.js';

/**
 * One step of a trafficset's table: from what stands in it, who the servers are and how they are loaded, to the next
 * table, with each change explained. Pure: the same input gives the same plan.
 *
 * What cannot wait comes first (servers that are gone, then those whose health forbids new flows), within no bound; then
 * what the operator wants drained; then the shares of the rest.
 *
 * @param seed of the order in which equal choices are taken
 * @throws TableError when a server's DIP or weight is impossible, or two have the same DIP
 */
export function plan(state: PlannerState, settings: BalanceSettings, step: PlanStep, seed = 0): Plan {
  const fleet = new Fleet(step.servers, settings);
  const work = new TableWork(state, fleet, settings, step);
  if (fleet.serving === 0) return nobody(state);

  const before = correctionsOf(fleet, state);
  let exact = exactTargets(fleet, settings, before, work.buckets);
  let after = before;
  if (step.loads !== null) {
    after = correct(fleet, settings, before, exact, work.has, step.loads);
    exact = exactTargets(fleet, settings, after, work.buckets);
  }
  const target = wholeTargets(exact, work.has, work.buckets);
  const relocation = new Relocation(work, fleet, target, settings, Math.imul(seed, 31) + state.version);
  const is = (place: Place) => (server: number) => fleet.places[server] === place;

  const forced = { forced: true, beyondTarget: true };
  relocation.relocate({ ...forced, from: is(Place.Gone), rule: () => 'gone' });
  relocation.relocate({ ...forced, from: is(Place.Fails), rule: () => 'health' });
  work.clearGone();
  relocation.relocate({ from: is(Place.Leaves), rule: () => 'drain', forced: false, beyondTarget: true });
  const planned = plannedRule(fleet, settings, work, target, after !== before);
  relocation.relocate({ from: is(Place.Serves), rule: planned, forced: false, beyondTarget: false });

  const changed = work.changed();
  const corrections = after === before ? state.corrections : named(fleet, after);
  return {
    state: work.stateWith(changed, corrections),
    changed,
    moves: work.moves(),
    ...waiting(relocation.held, fleet, work, settings, step.now),
  };
}

function nobody(state: PlannerState): Plan {
  const waiting = ['no server may get new flows: the table stays as it is'];
  return { state, changed: new Uint32Array(0), moves: [], waiting, nextAt: null };
}

/** Why new flows move from one server that serves to another. */
function plannedRule(
  fleet: Fleet,
  settings: BalanceSettings,
  { has, buckets }: TableWork,
  target: Uint32Array,
  corrected: boolean,
): (from: number, to: number) => Rule {
  const joins = Uint8Array.from(target, (wanted, server) => (2 * has[server] < wanted ? 1 : 0));
  const had = has.slice();
  const byWeight = exactTargets(fleet, settings, new Float64Array(fleet.size).fill(1), buckets);
  return (from, to) => {
    if (joins[to] === 1) return 'join';
    if (corrected) return 'balance';
    // A balance step that could not be done at once goes on: by their weights alone, they would not exchange.
    return had[from] > byWeight[from] && had[to] < byWeight[to] ? 'weight' : 'balance';
  };
}

function named(fleet: Fleet, corrections: Float64Array): ReadonlyMap<string, number> {
  const entries = fleet.names.map((name, server): [string, number] => [name, corrections[server]]);
  return new Map(entries.filter(([name, correction]) => name !== '' && correction !== 1));
}

function waiting(
  { byAge, byLimit }: Held,
  fleet: Fleet,
  work: TableWork,
  settings: BalanceSettings,
  now: number,
): Pick<Plan, 'waiting' | 'nextAt'> {
  const texts: string[] = [];
  const times: number[] = [];
  let others = 0;
  for (const [server, { buckets, possibleAt }] of byAge) {
    times.push(possibleAt);
    if (fleet.places[server] === Place.Serves) others += buckets;
    else {
      texts.push(
        `drain of ${fleet.label(server)}: ${buckets} buckets wait until the flows that they keep for others are ` +
          `${settings.minHolderAge} s old`,
      );
    }
  }
  if (others > 0) {
    texts.push(
      `moves between servers wait until one of ${others} buckets has kept its old flows for ${settings.minHolderAge} s`,
    );
  }
  if (byLimit.size > 0) {
    times.push(work.windowOpensAt());
    const names = [...byLimit.keys()].map((server) => fleet.label(server));
    texts.push(
      `moves away from ${list(names)} wait: no more than ${percent(settings.maxChangePerMinute)} of the table may ` +
        'change in a minute',
    );
  }
  return { waiting: texts, nextAt: times.length === 0 ? null : Math.max(now, Math.min(...times)) };
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}
