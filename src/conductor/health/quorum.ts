import { mean, type Verdict } from './group.js';

/**
 * What several vantages make of one server: UP when more than half of those that report say UP. Half of them is not
 * enough: among equals the careful answer is DOWN.
 *
 * @param vantages verdicts by name of the vantage; one that knows nothing yet (null) does not report
 */
export function judgeQuorum(vantages: ReadonlyMap<string, Verdict>): Verdict {
  const reporting = [...vantages].filter(([, verdict]) => verdict.up !== null);
  const latency = mean(reporting.map(([, verdict]) => verdict.latency));
  if (reporting.length === 0) {
    const reason = [...vantages.values()].find((verdict) => verdict.why !== '')?.why;
    return { up: null, why: reason ?? 'nobody reports', latency };
  }
  const down = reporting.filter(([, verdict]) => verdict.up === false);
  if (2 * (reporting.length - down.length) > reporting.length) return { up: true, why: '', latency };
  return { up: false, why: `${down.length} of ${reporting.length} vantages: ${reasons(down)}`, latency };
}

/** Each reason once, with who gives it. */
function reasons(down: readonly (readonly [string, Verdict])[]): string {
  const givers = new Map<string, string[]>();
  for (const [name, { why }] of down) givers.set(why, [...(givers.get(why) ?? []), name]);
  return [...givers].map(([why, names]) => `${why} (${names.join(', ')})`).join('; ');
}
