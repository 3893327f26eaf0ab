import type { MonitorResult } from '../../store/records.js';
import type { MonitorGroupConfig } from '../../table/control.js';

/**
 * What one vantage makes of one server: several monitors, one verdict.
 *
 * The rules are those of Cloudflare's monitor groups. A failed critical member (`must_be_healthy`) makes the server
 * DOWN at once. Otherwise the other active members vote, and it is DOWN "only if more than 50% of its assigned monitors
 * report it as unhealthy": half of them is not enough. Members that only observe (`monitoring_only`) and members that
 * are not enabled have no part in it.
 */

export interface Verdict {
  /** null: not known yet. */
  readonly up: boolean | null;
  /** Why it is down or not known, for people; '' when it is up. */
  readonly why: string;
  /** Mean round trip, in milliseconds; null where nothing was measured. */
  readonly latency: number | null;
}

/**
 * A member without a result may still say either: the verdict is null as long as what is missing could change it, and
 * no longer.
 *
 * @param results by monitor, after rise and fall; those of monitors outside the group are not looked at
 */
export function judgeGroup(group: MonitorGroupConfig, results: ReadonlyMap<string, MonitorResult>): Verdict {
  const active = group.members.filter((member) => member.enabled && !member.monitoring_only);
  const latency = mean(active.map(({ monitor }) => results.get(monitor)?.latency ?? null));
  const missing = active.filter(({ monitor }) => !results.has(monitor));
  const failed = active.filter(({ monitor }) => results.get(monitor)?.up === false);
  const told = (monitor: string) => `${monitor}: ${results.get(monitor)?.why ?? 'no result yet'}`;

  const critical = failed.find((member) => member.must_be_healthy);
  if (critical !== undefined)
    return { up: false, why: `${told(critical.monitor)} (must be healthy)`, latency };

  const voters = active.filter((member) => !member.must_be_healthy).length;
  if (2 * failed.length > voters) {
    const reasons = failed.map(({ monitor }) => told(monitor)).join('; ');
    const why = voters === 1 ? reasons : `${failed.length} of ${voters} monitors: ${reasons}`;
    return { up: false, why, latency };
  }

  const missingVotes = missing.filter((member) => !member.must_be_healthy).length;
  const open = missing.length > missingVotes || 2 * (failed.length + missingVotes) > voters;
  if (open) {
    return { up: null, why: `no result yet of ${missing.map(({ monitor }) => monitor).join(', ')}`, latency };
  }
  return { up: true, why: '', latency };
}

/** @returns null when there is no number among them */
export function mean(values: readonly (number | null)[]): number | null {
  const numbers = values.filter((value) => value !== null);
  if (numbers.length === 0) return null;
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}
