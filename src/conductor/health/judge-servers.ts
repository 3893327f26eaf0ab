import type { HealthRecord, MonitorResult } from '../../store/records.js';
import type { ClusterConfig } from '../../table/cluster.js';
import type { MonitorGroupConfig } from '../../table/control.js';
import { judgeGroup, type Verdict } from './group.js';
import { judgeQuorum } from './quorum.js';

/**
 * What all reports together say of the servers, for one trafficset. Two levels: the **node** (is it there, does its
 * packet path work), and the **service** (the trafficset's monitor group). A server is up when both are; a node that is
 * down takes its services with it.
 */

/** What the store knows of a node. */
export interface Presence {
  /** As it said last; null when it never said anything. */
  readonly healthy: boolean | null;
  /**
   * Seconds since it was heard of, when the store does not have its record; 0 while it has. The time in which the store
   * itself was not to be reached does not count, and for a node that was never heard of it counts from when the
   * conductor began to look.
   */
  readonly absentFor: number;
}

export interface HealthReports {
  /** By name of the vantage: all health records in the store. */
  readonly reports: ReadonlyMap<string, HealthRecord>;
  /** By server; one that is missing is not known yet. */
  readonly presence: ReadonlyMap<string, Presence>;
}

export interface ServerVerdict extends Verdict {
  readonly server: string;
}

/**
 * @param group name of the trafficset's monitor group; null: only the node counts
 * @param servers names, in the order of the result
 */
export function judgeServers(
  config: Pick<ClusterConfig, 'control'>,
  group: string | null,
  servers: readonly string[],
  { reports, presence }: HealthReports,
): ServerVerdict[] {
  const { conductor, groups } = config.control;
  const groupOf = (name: string | null) => groups.find((one) => one.name === name) ?? null;
  const nodeGroup = groupOf(conductor.node_health ?? null);
  const serviceGroup = groupOf(group);
  const seen = byServer(reports);
  return servers.map((server) => {
    const levels = [judgePresence(presence.get(server), conductor.node_absence_seconds, nodeGroup !== null)];
    if (nodeGroup !== null) levels.push(judgeByVantages(nodeGroup, server, seen.get(server)));
    const service = serviceGroup === null ? null : judgeByVantages(serviceGroup, server, seen.get(server));
    if (service !== null) levels.push(service);
    const decisive =
      levels.find(({ up }) => up === false) ?? levels.find(({ up }) => up === null) ?? levels[0];
    const latency = service?.latency ?? levels.find((level) => level.latency !== null)?.latency ?? null;
    return { server, up: decisive.up, why: decisive.why, latency };
  });
}

/**
 * @param watched there is a group that says whether the node is there: then its absence from the store is not held
 *   against it, because it may be the store that it cannot reach
 */
function judgePresence(presence: Presence | undefined, absence: number, watched: boolean): Verdict {
  const latency = null;
  const present = presence !== undefined && presence.absentFor === 0;
  // A node that has left said so before: it may be restarting, which its absence decides.
  if (present && presence.healthy === false) {
    return { up: false, why: 'its node reports itself unhealthy', latency };
  }
  if (present || watched) return { up: true, why: '', latency };
  if (presence === undefined || presence.absentFor <= absence) {
    // It restarts, or has not come yet.
    return { up: null, why: 'the store does not have its node at the moment', latency };
  }
  return { up: false, why: `the store has not heard of its node for ${absence} s`, latency };
}

/** Results by monitor, by vantage. */
type Seen = ReadonlyMap<string, ReadonlyMap<string, MonitorResult>>;

/** Turned around once, so that a judgement costs what there is in reports, and not servers times vantages. */
function byServer(reports: ReadonlyMap<string, HealthRecord>): ReadonlyMap<string, Seen> {
  const seen = new Map<string, Map<string, ReadonlyMap<string, MonitorResult>>>();
  for (const [vantage, { results }] of reports) {
    for (const [server, own] of Object.entries(results)) {
      const vantages = seen.get(server) ?? new Map();
      seen.set(server, vantages.set(vantage, new Map(Object.entries(own))));
    }
  }
  return seen;
}

/** A server's own report of itself counts only where there is no other: what it sees is not what others reach. */
function judgeByVantages(group: MonitorGroupConfig, server: string, seen: Seen = new Map()): Verdict {
  const verdicts = new Map([...seen].map(([vantage, results]) => [vantage, judgeGroup(group, results)]));
  const others = new Map([...verdicts].filter(([vantage]) => vantage !== server));
  const anyOther = [...others.values()].some(({ up }) => up !== null);
  return judgeQuorum(anyOther ? others : verdicts);
}
