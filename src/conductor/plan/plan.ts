import { Bands } from './bands.js';
import { correct } from './corrections.js';
import { list } from './describe.js';
import { correctionsOf, Fleet, Place } from './fleet.js';
import { type Held, Relocation } from './relocate.js';
import { TableWork } from './table-work.js';
import { exactTargets } from './targets.js';
import type { BalanceSettings, Plan, PlannerState, PlanStep, Rule } from './types.js';

/** What waits when there is nobody to get new flows. */
export const NOBODY = 'no server may get new flows: the table stays as it is';

/**
 * One step of a trafficset's table: from what stands in it, who the servers are and how they are loaded, to the next
 * table, with each change explained. Pure: the same input gives the same plan.
 *
 * What cannot wait comes first, within no bound: servers that are gone, then those whose health forbids new flows. Then
 * those that get no new flows because somebody wants it so, and last the shares of the rest.
 *
 * @param seed of the order in which equal choices are taken
 * @throws TableError when a server's DIP or weight is impossible, or two have the same DIP
 */
export function plan(state: PlannerState, settings: BalanceSettings, step: PlanStep, seed = 0): Plan {
  const fleet = new Fleet(step.servers, settings);
  if (fleet.serving === 0) return nobody(state);
  const work = new TableWork(state, fleet, settings, step);

  const before = correctionsOf(fleet, state);
  let exact = exactTargets(fleet, settings, before, work.buckets);
  let after = before;
  if (step.loads !== null) {
    after = correct({ fleet, settings, corrections: before, exact, has: work.has, loads: step.loads });
    exact = exactTargets(fleet, settings, after, work.buckets);
  }
  const bands = new Bands(exact, work.has);
  const relocation = new Relocation(work, fleet, bands, settings, Math.imul(seed, 31) + state.version);

  relocation.evict(Place.Gone, 'gone', true);
  relocation.evict(Place.Fails, 'health', true);
  work.clearGone();
  relocation.evict(Place.Leaves, 'drain', false);
  relocation.level(levelRule(fleet, settings, work, bands, after !== before));

  const changed = work.changed();
  const corrections = after === before ? state.corrections : named(fleet, after);
  return {
    state: work.stateWith(changed, corrections),
    changed,
    moves: work.log.moves(),
    ...waiting(relocation.held, fleet, work, settings),
  };
}

/** An empty table would be worse than one with the wrong servers. */
function nobody(state: PlannerState): Plan {
  return { state, changed: new Uint32Array(0), moves: [], waiting: [NOBODY], nextAt: null };
}

/** Why new flows move from one server that serves to another. */
function levelRule(
  fleet: Fleet,
  settings: BalanceSettings,
  { has, buckets }: TableWork,
  { low }: Bands,
  corrected: boolean,
): (from: number, to: number) => Rule {
  const had = has.slice();
  const byWeight = exactTargets(fleet, settings, new Float64Array(fleet.size).fill(1), buckets);
  return (from, to) => {
    if (2 * had[to] < low[to]) return 'join';
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
  held: readonly Held[],
  fleet: Fleet,
  work: TableWork,
  settings: BalanceSettings,
): Pick<Plan, 'waiting' | 'nextAt'> {
  const texts: string[] = [];
  const times: number[] = [];
  for (const { servers, byLimit, byAge, agedAt } of held) {
    const leaves = fleet.places[servers[0]] !== Place.Serves;
    const who = list(servers.map((server) => fleet.label(server)));
    const what = leaves ? `new flows leave ${who} later` : `the shares of ${who} are reached later`;
    if (byLimit > 0) {
      times.push(work.windowOpensAt());
      const share = percent(settings.maxChangePerMinute);
      texts.push(`${what}: no more than ${share} of the table may change in a minute`);
    }
    if (byAge > 0) {
      times.push(agedAt);
      texts.push(`${what}: ${byAge} buckets keep older flows of others for ${settings.minHolderAge} s`);
    }
  }
  return { waiting: texts, nextAt: times.length === 0 ? null : Math.min(...times) };
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}
