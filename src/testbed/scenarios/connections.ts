import { FAMILIES, SERVICE_PORTS, vip } from '../addresses.js';
import {
  type Attempt,
  type Endpoint,
  HELD_KINDS,
  type Held,
  type HeldProgress,
  type LoadReport,
  type Outcome,
} from '../client-protocol.js';
import type { DataCenter } from '../data-center.js';
import { waitUntil } from '../wait.js';

/** The connections that scenarios make, over all clients together. */

/** Both families, two VIPs each, both ports. */
export const TARGETS: readonly Endpoint[] = SERVICE_PORTS.flatMap((port) =>
  [1, 2].flatMap((n) => FAMILIES.map((family) => ({ address: vip(n, family), port }))),
);

/** What a held transfer carries: at its held pace it takes much longer than any scenario. */
const HELD_BYTES = 1 << 20;

const ATTEMPT_TIMEOUT_MS = 5000;
/** After an outage of some seconds TCP may wait as long again before it tries once more. */
const STALL_MS = 20_000;

/** A held connection, with the client that holds it (ids are only unique per client). */
export interface HeldBy extends Held {
  readonly client: number;
}

/** `count` new connections, shared among the clients. */
export async function openNew(
  dataCenter: DataCenter,
  count: number,
  timeoutMs = ATTEMPT_TIMEOUT_MS,
): Promise<Attempt[]> {
  const clients = dataCenter.allClients();
  const attempts = await Promise.all(
    clients.map((client, index) =>
      client.call('burst', {
        count: Math.floor((count + index) / clients.length),
        targets: TARGETS,
        concurrency: 24,
        timeoutMs,
      }),
    ),
  );
  return attempts.flat();
}

/** `count` long-lived connections: a third downloads, a third uploads, a third idle, shared among the clients. */
export async function holdOpen(dataCenter: DataCenter, count: number): Promise<HeldBy[]> {
  const clients = dataCenter.allClients();
  const each = Math.round(count / clients.length / HELD_KINDS.length);
  const held = await Promise.all(
    clients.map(async (client) => {
      const up = await client.call('hold', {
        count: each,
        kinds: HELD_KINDS,
        targets: TARGETS,
        bytes: HELD_BYTES,
      });
      return up.map((connection) => ({ ...connection, client: client.number }));
    }),
  );
  return held.flat();
}

/** How far every held connection is. */
export async function progressOf(dataCenter: DataCenter): Promise<HeldProgress[]> {
  const progress = await Promise.all(dataCenter.allClients().map((client) => client.call('progress', {})));
  return progress.flat();
}

/** Waits until every held transfer has moved on from where it is now, or is broken. */
export async function allMove(dataCenter: DataCenter): Promise<void> {
  const before = await progressOf(dataCenter);
  await waitUntil('every transfer to move', async () => {
    const now = await progressOf(dataCenter);
    return now.every(
      ({ bytes, total, broken }, index) => total === 0 || broken !== null || bytes > before[index].bytes,
    );
  });
}

/**
 * Lets held connections run to their end: all, or those on the servers named.
 * @param options.stallMs after how long without a byte a connection counts as broken
 */
export async function finishAll(
  dataCenter: DataCenter,
  { servers, stallMs = STALL_MS }: { readonly servers?: readonly string[]; readonly stallMs?: number } = {},
): Promise<Outcome[]> {
  const outcomes = await Promise.all(
    dataCenter.allClients().map((client) => client.call('finish', { stallMs, servers: servers ?? null })),
  );
  return outcomes.flat();
}

/** New connections all the while, at `perSecond` from each client. */
export async function startLoad(dataCenter: DataCenter, perSecond: number): Promise<void> {
  await Promise.all(
    dataCenter
      .allClients()
      .map((client) =>
        client.call('load-start', { perSecond, targets: TARGETS, timeoutMs: ATTEMPT_TIMEOUT_MS }),
      ),
  );
}

export async function stopLoad(dataCenter: DataCenter): Promise<LoadReport> {
  const reports = await Promise.all(dataCenter.allClients().map((client) => client.call('load-stop', {})));
  const servers: Record<string, number> = {};
  for (const report of reports) {
    for (const [server, count] of Object.entries(report.servers)) {
      servers[server] = (servers[server] ?? 0) + count;
    }
  }
  return {
    attempts: reports.reduce((sum, { attempts }) => sum + attempts, 0),
    servers,
    failures: reports.flatMap(({ failures }) => failures),
  };
}

export function brokenOf(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.filter(({ broken }) => broken !== null);
}

/** How many of each, by name, names in order: `{ s1: 74, s2: 77 }`. */
export function tally(names: Iterable<string>): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })));
}

/** `s1 74, s2 77`. */
export function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** What went wrong, in the words of the first few. */
export function sampleOf(
  failures: ReadonlyArray<{ readonly broken?: string | null; readonly error?: string | null }>,
): string {
  return listed(tally(failures.map(({ broken, error }) => broken ?? error ?? 'unknown')));
}
