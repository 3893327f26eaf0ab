import { breaks, describeMoves, type SecondHopShare, secondHopShare, shares } from './describe.js';
import { applyEvent, type FleetEvent } from './events.js';
import { NOBODY, plan } from './plan.js';
import type { BalanceSettings, Move, Plan, PlannedServer, PlannerState } from './types.js';

/** What events would do to a table, without doing it. */

export interface Situation {
  readonly state: PlannerState;
  readonly servers: readonly PlannedServer[];
  /** Unix time in seconds. */
  readonly now: number;
}

export interface Outcome {
  /** After the event, and all that was planned because of it. */
  readonly after: Situation;
  readonly versionBefore: number;
  readonly buckets: number;
  /** Number of buckets that are not as before. */
  readonly changed: number;
  readonly moves: readonly Move[];
  /** {@link moves} in words, a line each. */
  readonly lines: readonly string[];
  /** Buckets whose older flows break. */
  readonly breaks: number;
  readonly secondHops: SecondHopShare;
  readonly servers: readonly ServerOutcome[];
  readonly waiting: readonly string[];
  /** When something that waits may be possible; null when nothing waits. */
  readonly nextAt: number | null;
  /** Nobody would get new flows: nothing is changed then. */
  readonly nobody: boolean;
}

export interface ServerOutcome {
  /** Of a server; its address where it stands in the table only. */
  readonly name: string | null;
  readonly dip: number;
  /** null: it does not exist any more. */
  readonly standing: PlannedServer['standing'] | null;
  readonly weight: number;
  readonly newFlows: readonly [before: number, after: number];
  readonly oldFlows: readonly [before: number, after: number];
}

/**
 * @param event null: what would be planned anyway
 * @throws FleetEventError when it cannot happen to these servers
 */
export function whatIf(before: Situation, event: FleetEvent | null, settings: BalanceSettings): Outcome {
  const servers = event === null ? before.servers : applyEvent(before.servers, event);
  const loads = event?.type === 'load' ? event.loads : null;
  const end = before.now + (event?.type === 'wait' ? event.seconds : 0);
  let { state, now } = before;
  const plans: Plan[] = [];
  for (;;) {
    const made = plan(state, settings, { now, servers, loads });
    plans.push(made);
    state = made.state;
    if (now >= end) break;
    now = made.nextAt === null ? end : Math.min(made.nextAt, end);
  }
  const last = plans[plans.length - 1];
  const moves = plans.flatMap((made) => made.moves);
  const names = new Map([...before.servers, ...servers].map(({ dip, name }) => [dip, name]));
  return {
    after: { state, servers, now },
    versionBefore: before.state.version,
    buckets: state.changedAt.length,
    changed: new Set(plans.flatMap((made) => [...made.changed])).size,
    moves,
    lines: plans.flatMap((made) => describeMoves(made, names)),
    breaks: plans.reduce((sum, made) => sum + breaks(made), 0),
    secondHops: secondHopShare(before.state, state),
    servers: serverOutcomes(before, { state, servers, now }, settings),
    waiting: last.waiting,
    nextAt: last.nextAt,
    nobody: last.waiting.includes(NOBODY),
  };
}

function serverOutcomes(before: Situation, after: Situation, { scheme }: BalanceSettings): ServerOutcome[] {
  const old = shares(before.state, scheme);
  const now = shares(after.state, scheme);
  const known = new Map([...before.servers, ...after.servers].map((server) => [server.dip, server]));
  const standing = new Map(after.servers.map((server) => [server.dip, server.standing]));
  return [...new Set([...known.keys(), ...old.keys(), ...now.keys()])].map((dip) => ({
    name: known.get(dip)?.name ?? null,
    dip,
    standing: standing.get(dip) ?? null,
    weight: known.get(dip)?.weight ?? 0,
    newFlows: [old.get(dip)?.newFlows ?? 0, now.get(dip)?.newFlows ?? 0],
    oldFlows: [old.get(dip)?.oldFlows ?? 0, now.get(dip)?.oldFlows ?? 0],
  }));
}
