import type { Outcome, WorkDone } from '../../client-protocol.js';
import { hashRepeatedly } from '../../control/work-service.js';
import type { DataCenter } from '../../data-center.js';
import { waitUntil } from '../../wait.js';
import { clock } from '../../work-load.js';
import { brokenOf, finishAll, type HeldBy, listed, sampleOf, TARGETS, tally } from '../connections.js';
import type { Judgement } from '../scenario.js';
import { untilSettled } from './standing.js';

/** What goes on in every step with a conductor: long-lived connections, and requests that cost the servers real work. */

/** Long-lived connections, over all clients together. */
export const HELD = 200;
const HELD_BYTES = 256 * 1024;
/** Slow enough to be in progress for minutes, and cheap: it is not their work that is to be balanced. */
const HELD_PACE = { everyMs: 500, bytes: 1024 };

/** New connections per second, over all clients together. */
export const PER_SECOND = 100;
/** Processor time that one request is to cost on this machine, beside what HTTP costs. */
const WORK_MS = 0.8;
/** With {@link TARGETS} a round of about five seconds. */
const PORTS = { first: 10_000, count: 38 };
/** As long as it takes to send a lost SYN twice again, and a little. */
const TIMEOUT_MS = 5000;

/** Seconds in which every 4-tuple has its turn once. */
export const roundSeconds = (clients: number): number =>
  (TARGETS.length * PORTS.count * clients) / PER_SECOND;

/** The first ones are slower, until the code is compiled. */
const TRIALS = 50;
let iterations: number | null = null;

/** So many cost {@link WORK_MS} here; found out once, so that the work stays the same from then on. */
function iterationsOfWork(): number {
  iterations ??= Math.round(WORK_MS / Math.min(...Array.from({ length: TRIALS }, () => costOf(500))));
  return iterations;
}

/**
 * Processor time of one iteration, in milliseconds. Of user and system time the kernel knows exactly only the sum: a
 * part of it alone can be next to nothing for a moment, and would make the work as much too long.
 */
function costOf(count: number): number {
  const before = process.cpuUsage();
  hashRepeatedly(count);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

export class Traffic {
  private readonly all: WorkDone[] = [];

  private constructor(
    private readonly dataCenter: DataCenter,
    readonly held: readonly HeldBy[],
  ) {}

  /** Resolves when every server is used, all long-lived connections are up and requests come. */
  static async begin(dataCenter: DataCenter): Promise<Traffic> {
    await untilSettled(dataCenter.requireControl());
    const held = await holdMany(dataCenter);
    const clients = dataCenter.allClients();
    await Promise.all(
      clients.map((client) =>
        client.call('work-start', {
          perSecond: PER_SECOND / clients.length,
          targets: TARGETS,
          ports: PORTS,
          iterations: iterationsOfWork(),
          timeoutMs: TIMEOUT_MS,
        }),
      ),
    );
    return new Traffic(dataCenter, held);
  }

  /** All requests that have ended so far. */
  async requests(): Promise<readonly WorkDone[]> {
    await this.collect('work-taken');
    return this.all;
  }

  /** Requests that began in the last so many seconds, and have ended. */
  async recent(seconds: number): Promise<readonly WorkDone[]> {
    const from = clock() - 1000 * seconds;
    return (await this.requests()).filter(({ begun }) => begun >= from);
  }

  /** Resolves when requests have ended that began after this moment of the clock. */
  async untilRequestsSince(moment: number): Promise<void> {
    await waitUntil('new connections', async () =>
      (await this.requests()).some(({ begun }) => begun > moment),
    );
  }

  /** Brings long-lived connections on these servers to their end now. */
  finishOn(servers: readonly string[]): Promise<Outcome[]> {
    return finishAll(this.dataCenter, { servers });
  }

  /** Ends all of it; resolves when the last connection has come to its end. */
  async end(): Promise<{ readonly requests: readonly WorkDone[]; readonly outcomes: readonly Outcome[] }> {
    await this.collect('work-stop');
    return { requests: this.all, outcomes: await finishAll(this.dataCenter) };
  }

  private async collect(operation: 'work-taken' | 'work-stop'): Promise<void> {
    const done = await Promise.all(this.dataCenter.allClients().map((client) => client.call(operation, {})));
    this.all.push(...done.flat());
  }
}

async function holdMany(dataCenter: DataCenter): Promise<HeldBy[]> {
  const clients = dataCenter.allClients();
  const each = HELD / clients.length;
  const common = { targets: TARGETS, bytes: HELD_BYTES, pace: HELD_PACE };
  const held = await Promise.all(
    clients.map(async (client) => {
      const thirds = await client.call('hold', {
        ...common,
        count: Math.floor(each / 3),
        kinds: ['download', 'upload', 'idle'],
      });
      const rest = await client.call('hold', { ...common, count: each - thirds.length, kinds: ['idle'] });
      return [...thirds, ...rest].map((connection) => ({ ...connection, client: client.number }));
    }),
  );
  return held.flat();
}

/** Who answered, `s1 31, s2 30`. */
export function answeredBy(requests: readonly WorkDone[]): Record<string, number> {
  return tally(requests.flatMap(({ server }) => server ?? []));
}

export const failed = (requests: readonly WorkDone[]): WorkDone[] =>
  requests.filter(({ error }) => error !== null);

/** @param outcomes of long-lived connections, none of which may have broken */
export function expectNoneBroken(judgement: Judgement, outcomes: readonly Outcome[]): void {
  const broken = brokenOf(outcomes);
  judgement.expect(
    broken.length === 0,
    `${broken.length} of ${outcomes.length} long-lived connections broke (${listed(tally(broken.map(({ server }) => server)))}): ${sampleOf(broken)}`,
  );
}

/** @param requests none of which may have failed */
export function expectNoneFailed(judgement: Judgement, requests: readonly WorkDone[]): void {
  const bad = failed(requests);
  judgement.expect(
    bad.length === 0,
    `${bad.length} of ${requests.length} new connections failed: ${sampleOf(bad)}`,
  );
}
