import type { Logger } from 'pino';
import type { ServerRecord } from '../store/records.js';
import { parseIpv4 } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import type { Clock } from './clock.js';
import { type GateVerdict, HealthGate } from './health/gate.js';
import { judgeServers, type ServerVerdict } from './health/judge-servers.js';
import type { Observed } from './observed.js';
import type { PlannedServer } from './plan/index.js';
import { balanceOf } from './settings.js';

export interface HealthJudgeOptions {
  readonly trafficset: TrafficsetConfig;
  readonly cluster: ClusterConfig;
  readonly observed: Observed;
  readonly clock: Clock;
  readonly log: Logger;
  /** Standings changed. */
  changed(): void;
}

/** How the servers of one trafficset stand: what the operator wants, and what their health allows. */
export class HealthJudge {
  verdict: GateVerdict | null = null;
  reports: readonly ServerVerdict[] = [];
  private readonly gate: HealthGate;

  constructor(private readonly options: HealthJudgeOptions) {
    const { settle_seconds, wide_problem, wide_problem_over } = options.cluster.control.conductor;
    this.gate = new HealthGate({
      settleSeconds: settle_seconds,
      wideProblem: wide_problem,
      wideProblemOver: wide_problem_over,
    });
  }

  /**
   * Who gets new flows by the table is well until reports say otherwise: a new leader changes nothing by itself.
   * @param inTable DIPs of those that stand in the table; @param newFlows of those that get new flows by it
   */
  assume(inTable: ReadonlySet<number>, newFlows: ReadonlySet<number>): void {
    for (const [name, record] of this.options.observed.servers.known) {
      const dip = parseIpv4(record.dip);
      const wanted = record.state === 'active' && record.weight > 0;
      if (inTable.has(dip)) this.gate.assume(name, newFlows.has(dip) || !wanted);
    }
  }

  judge(servers: ReadonlyMap<string, ServerRecord>): PlannedServer[] {
    const { observed, cluster, trafficset, clock } = this.options;
    const names = [...servers.keys()].sort();
    this.reports = judgeServers(cluster, balanceOf(trafficset).health ?? null, names, {
      reports: observed.health.known,
      presence: observed.presenceOf(names),
    });
    const before = this.verdict;
    const verdict = this.gate.judge(clock.now() / 1000, this.reports);
    this.verdict = verdict;
    if (!sameText([...(before?.standings ?? [])], [...verdict.standings])) this.options.changed();
    this.tellWideProblem(before?.wideProblem ?? null, verdict.wideProblem);
    return [...servers].map(([name, record]) => ({
      name,
      dip: parseIpv4(record.dip),
      weight: record.weight,
      pool: record.pool,
      standing: record.state === 'drained' ? 'drained' : verdict.standings.get(name)?.up ? 'in' : 'down',
    }));
  }

  private tellWideProblem(before: string | null, now: string | null): void {
    const { log, trafficset } = this.options;
    if (before === null && now !== null) log.error({ trafficset: trafficset.name }, now);
    if (before !== null && now === null) {
      log.info({ trafficset: trafficset.name }, 'the problem of the data center is over');
    }
  }
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
