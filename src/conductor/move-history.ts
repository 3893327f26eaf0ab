import type { Logger } from 'pino';
import type { StatusRecord } from '../store/records.js';
import type { Clock } from './clock.js';
import type { ConductorMetrics } from './metrics.js';
import {
  describeMoves,
  type Plan,
  type PlannedServer,
  type PlannerState,
  secondHopShare,
} from './plan/index.js';

/** What was published of one trafficset, the newest last, as the status shows it. */
export type Moves = StatusRecord['trafficsets'][string]['moves'];

export interface MoveHistoryOptions {
  readonly trafficset: string;
  /** Moves of former terms, the newest last. */
  readonly before: Moves;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ConductorMetrics;
}

/** Moves that the status shows. */
const KEPT_MOVES = 20;

/** The last moves of a trafficset, told as they come: to the status, the log and the metrics. */
export class MoveHistory {
  private readonly moves: Moves;

  constructor(private readonly options: MoveHistoryOptions) {
    this.moves = [...options.before];
  }

  get last(): Moves {
    return [...this.moves];
  }

  /** A plan was published. @param servers that it was made with */
  note(before: PlannerState, made: Plan, servers: readonly PlannedServer[]): void {
    const { trafficset, clock, metrics, log } = this.options;
    const { version } = made.state;
    const names = new Map(servers.map(({ name, dip }) => [dip, name]));
    const text = describeMoves(made, names);
    const byRule = totals(made.moves);
    this.moves.push({
      at: new Date(clock.unix()).toISOString(),
      version,
      buckets: made.changed.length,
      byRule,
      longer: secondHopShare(before, made.state).moved,
      text,
    });
    this.moves.splice(0, this.moves.length - KEPT_MOVES);
    for (const { rule, kind, buckets } of byRule) metrics.moved(trafficset, rule, kind, buckets);
    log.info({ trafficset, version, buckets: made.changed.length }, `table published: ${text.join('; ')}`);
  }
}

/** Moves by rule and kind, whoever they are from and to. */
function totals(moves: Plan['moves']): Moves[number]['byRule'] {
  const found = new Map<string, { rule: string; kind: string; buckets: number }>();
  for (const { rule, kind, buckets } of moves) {
    const key = `${rule} ${kind}`;
    found.set(key, { rule, kind, buckets: buckets + (found.get(key)?.buckets ?? 0) });
  }
  return [...found.values()];
}
