/**
 * Between what is reported of the servers and what is done about it. It holds back what would do harm:
 *
 * - **What does not last.** A change, in either direction, is acted upon when it has been reported for `settleSeconds`
 *   without a break. Where nobody reports (`null`: agents restart, the store is away), nothing changes.
 * - **What hits most servers at once.** When more than the share `wideProblem` of the servers is out or reports
 *   unhealthy, it is a problem of the data center: taking servers out would only put their load on the rest, and make
 *   the rest fail. While it lasts nobody goes down; who is out and well comes back. So never more than this share is
 *   out, however the failures come: all at once (then nobody is out), or one by one (then those that went first).
 *
 * It is over when no more than `wideProblemOver` has reported unhealthy for `settleSeconds`; those that are unhealthy
 * still go down then, as always. Where that brings the problem back (the rest cannot carry their load), the next has to
 * be over for twice as long, and so on up to {@link LONGEST_OVER} times: taking turns dies out.
 *
 * A server that is new is out until it has been reported healthy for `settleSeconds`, and counts among "the servers"
 * from then on only: ten broken new servers are no problem of the data center.
 */

export interface GateSettings {
  readonly settleSeconds: number;
  /** Above 0, to 1; 1: there is no such problem. */
  readonly wideProblem: number;
  /** No more than `wideProblem`. */
  readonly wideProblemOver: number;
}

export interface ReportedServer {
  readonly server: string;
  /** null: nobody knows. */
  readonly up: boolean | null;
  /** For people; '' where it is up. */
  readonly why: string;
}

export interface GateStanding {
  /** Whether it may get new flows. */
  readonly up: boolean;
  /** For people. */
  readonly why: string;
}

export interface GateVerdict {
  /** Of every server that was given. */
  readonly standings: ReadonlyMap<string, GateStanding>;
  /** Why changes are held back, for people; null when they are not. */
  readonly wideProblem: string | null;
  /** When to judge again although no report has changed, on the clock of `now`; null: no need. */
  readonly nextAt: number | null;
}

/** Most that a wide problem which comes back again and again has to be over for, in times of `settleSeconds`. */
export const LONGEST_OVER = 64;

/** A wide problem came back when it begins within this many times what the last had to be over for. */
const RELAPSE_WITHIN = 16;

/** What the gate knows of a server. */
interface Known {
  /** What is acted upon. */
  up: boolean;
  /** Whether it was ever acted upon as up: before, it is none of the servers that a wide problem is measured by. */
  established: boolean;
  /** The last that was reported; null before the first report. */
  said: boolean | null;
  /** Why, as reported last. */
  why: string;
  /** Since when the reports have contradicted `up` without a break; null: they do not. */
  since: number | null;
}

interface WideProblem {
  /** Since when few enough have reported unhealthy; null: too many do. */
  overSince: number | null;
}

export class HealthGate {
  private readonly known = new Map<string, Known>();
  private wide: WideProblem | null = null;
  /** When the last wide problem ended. */
  private ended: number | null = null;
  /** How long a wide problem has to be over, in times of `settleSeconds`. */
  private overTimes = 1;

  constructor(private readonly settings: GateSettings) {}

  /**
   * Takes a server as up or down until reports say otherwise, for as long as a change takes. For a conductor that
   * takes over: servers that get new flows by the table are up, whatever has not been reported yet.
   */
  assume(server: string, up: boolean): void {
    this.known.set(server, { up, established: true, said: null, why: '', since: null });
  }

  /**
   * @param now monotonic seconds, never less than before
   * @param servers all there are; one that is missing is forgotten
   */
  judge(now: number, servers: readonly ReportedServer[]): GateVerdict {
    this.forgetOthers(servers);
    const all = servers.map((report) => this.listen(now, report));
    this.judgeWideProblem(now, all);
    for (const known of all) this.act(now, known);
    return {
      standings: new Map(servers.map((report, index) => [report.server, this.tell(report, all[index])])),
      wideProblem: this.wide === null ? null : this.tellWideProblem(all),
      nextAt: this.nextAt(all),
    };
  }

  private forgetOthers(servers: readonly ReportedServer[]): void {
    const names = new Set(servers.map(({ server }) => server));
    for (const server of this.known.keys()) if (!names.has(server)) this.known.delete(server);
  }

  private listen(now: number, { server, up, why }: ReportedServer): Known {
    let known = this.known.get(server);
    if (known === undefined) {
      known = { up: false, established: false, said: null, why: '', since: null };
      this.known.set(server, known);
    }
    if (up !== null) {
      known.said = up;
      known.why = why;
    }
    if (up === null || up === known.up) known.since = null;
    else known.since ??= now;
    return known;
  }

  private judgeWideProblem(now: number, all: readonly Known[]): void {
    const { wideProblem, wideProblemOver } = this.settings;
    const share = shareOf(all, isOutOrUnhealthy);
    if (this.wide === null) {
      if (share <= wideProblem) return;
      const relapse = this.ended !== null && now - this.ended < RELAPSE_WITHIN * this.overSeconds;
      this.overTimes = relapse ? Math.min(2 * this.overTimes, LONGEST_OVER) : 1;
      this.wide = { overSince: null };
      return;
    }
    // Who is out and well is on its way back; but there must be few enough of them for it not to begin anew.
    const few = shareOf(all, isUnhealthy) <= wideProblemOver && share <= wideProblem;
    if (!few) this.wide.overSince = null;
    else {
      this.wide.overSince ??= now;
      if (now < this.wide.overSince + this.overSeconds) return;
      this.wide = null;
      this.ended = now;
    }
  }

  private get overSeconds(): number {
    return this.settings.settleSeconds * this.overTimes;
  }

  private act(now: number, known: Known): void {
    if (known.since === null || now < known.since + this.settings.settleSeconds) return;
    // New servers are out already: a wide problem holds back only what goes down.
    if (known.up && this.wide !== null) return;
    known.up = !known.up;
    known.since = null;
    if (known.up) known.established = true;
  }

  private tell({ up, why }: ReportedServer, known: Known): GateStanding {
    const settling = `but not for ${this.settings.settleSeconds} s yet`;
    if (known.up) {
      if (up === null) return { up: true, why: `stays in use: ${why || 'nobody reports'}` };
      if (up) return { up: true, why };
      return { up: true, why: `${why}, ${this.wide === null ? settling : 'held back'}` };
    }
    if (up === true) return { up: false, why: `healthy, ${settling}` };
    if (up === false) return { up: false, why };
    return { up: false, why: known.said === false ? known.why : why || 'nobody reports' };
  }

  private tellWideProblem(all: readonly Known[]): string {
    const established = all.filter((known) => known.established);
    const count = established.filter(isOutOrUnhealthy).length;
    const report = `${count} of ${established.length} servers report unhealthy`;
    if (this.wide?.overSince === null) {
      return `${report}: a problem of the data center, not of servers; new flows go where they went`;
    }
    return `${report}, after too many did: held back until that has lasted ${this.overSeconds} s`;
  }

  private nextAt(all: readonly Known[]): number | null {
    const times = all
      .filter((known) => !(known.up && this.wide !== null))
      .flatMap(({ since }) => (since === null ? [] : [since + this.settings.settleSeconds]));
    if (this.wide !== null && this.wide.overSince !== null)
      times.push(this.wide.overSince + this.overSeconds);
    return times.length === 0 ? null : Math.min(...times);
  }
}

function isUnhealthy(known: Known): boolean {
  return known.said === false;
}

function isOutOrUnhealthy(known: Known): boolean {
  return !known.up || isUnhealthy(known);
}

/** Of the established ones; 0 when there are none. */
function shareOf(all: readonly Known[], holds: (known: Known) => boolean): number {
  const established = all.filter((known) => known.established);
  return established.length === 0 ? 0 : established.filter(holds).length / established.length;
}
