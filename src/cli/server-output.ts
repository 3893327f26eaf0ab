import ora from 'ora';
import { missing, type Overview, readOverview } from '../conductor/overview.js';
import type { ChangeResult, KnownServer, ServerChange } from '../conductor/servers.js';
import type { ServerRecord, StatusRecord } from '../store/records.js';
import { type Store, StoreError } from '../store/store.js';
import { count, grid } from './table-output.js';

/** What a change of servers led to, and how it is told. */

/** Between two looks at the store. */
const LOOK_MS = 100;

export interface ChangeOutcome {
  readonly failed: boolean;
  readonly data: ChangeData;
}

interface ChangeData {
  readonly server: string;
  readonly change: ServerChange['type'];
  /** null: it is removed. */
  readonly record: ServerRecord | null;
  readonly changed: boolean;
  readonly warnings: readonly string[];
  /** What was still missing when we stopped waiting; null when nothing was, or nobody waited. */
  readonly missing: string | null;
  /** null: nobody waited. */
  readonly seconds: number | null;
  readonly nodes: number;
  readonly trafficsets: readonly TrafficsetChange[];
}

interface TrafficsetChange {
  readonly trafficset: string;
  readonly versionBefore: number;
  readonly version: number;
  readonly buckets: number;
  readonly changed: number;
  readonly byRule: readonly { readonly rule: string; readonly kind: string; readonly buckets: number }[];
  /** Buckets whose established flows took one hop before and take two now. */
  readonly longer: number;
  readonly secondHopsBefore: number;
  readonly secondHops: number;
  readonly text: readonly string[];
  readonly waiting: readonly string[];
  readonly nextAt: string | null;
}

/** @param timeout seconds to wait for the tables; 0: do not */
export async function awaitChange(
  store: Store,
  before: Overview,
  name: string,
  change: ServerChange,
  { changed, revision, record, warnings }: ChangeResult,
  timeout: number,
): Promise<ChangeOutcome> {
  const wantsFlows = record !== null && record.state === 'active' && record.weight > 0;
  const awaited = { revision, server: wantsFlows ? name : null };
  const started = performance.now();
  // What was changed before may not be followed yet either.
  const waits = timeout > 0;
  const { now, lacks } = waits
    ? await wait(store, before, awaited, timeout)
    : { now: before, lacks: null as string | null };
  const data: ChangeData = {
    server: name,
    change: change.type,
    record,
    changed,
    warnings,
    missing: lacks,
    seconds: waits ? (performance.now() - started) / 1000 : null,
    nodes: now.nodes.size,
    trafficsets: waits ? trafficsetChanges(before.status, now.status) : [],
  };
  // A server whose node is not healthy, or a conductor that does not run, is no failure of the change.
  const onlyLater =
    lacks === null || missing(now, { ...awaited, server: null }) === null || now.leader === null;
  return { failed: !onlyLater, data };
}

async function wait(
  store: Store,
  before: Overview,
  awaited: { readonly revision: number; readonly server: string | null },
  timeout: number,
): Promise<{ now: Overview; lacks: string | null }> {
  const spinner = ora({
    text: 'waiting for the conductor',
    stream: process.stderr,
    isSilent: !process.stderr.isTTY,
  });
  spinner.start();
  const deadline = performance.now() + 1000 * timeout;
  let now = before;
  let lacks: string | null = 'the store was not read again';
  try {
    for (;;) {
      try {
        now = await readOverview(store);
        lacks = missing(now, awaited);
        // Without a leader, one that stands by may be about to take over.
        const nobody = now.leader === null && now.conductors.length === 0;
        if (lacks === null || nobody) return { now, lacks };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        lacks = error.message;
      }
      spinner.text = lacks;
      if (performance.now() > deadline) return { now, lacks };
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    spinner.stop();
  }
}

function trafficsetChanges(before: StatusRecord | null, now: StatusRecord | null): TrafficsetChange[] {
  return Object.entries(now?.trafficsets ?? {}).map(([trafficset, after]) => {
    const old = before?.trafficsets[trafficset];
    const versionBefore = old?.version ?? 0;
    const moves = after.moves.filter(({ version }) => version > versionBefore);
    const byRule = new Map<string, { rule: string; kind: string; buckets: number }>();
    for (const { rule, kind, buckets } of moves.flatMap((move) => move.byRule)) {
      const known = byRule.get(`${rule} ${kind}`);
      byRule.set(`${rule} ${kind}`, { rule, kind, buckets: buckets + (known?.buckets ?? 0) });
    }
    return {
      trafficset,
      versionBefore,
      version: after.version,
      buckets: after.buckets,
      changed: moves.reduce((sum, { buckets }) => sum + buckets, 0),
      byRule: [...byRule.values()],
      longer: moves.reduce((sum, { longer }) => sum + longer, 0),
      secondHopsBefore: old?.secondHops ?? 0,
      secondHops: after.secondHops,
      text: moves.flatMap((move) => move.text),
      waiting: after.waiting,
      nextAt: after.nextAt,
    };
  });
}

const DONE: Readonly<Record<ServerChange['type'], string>> = {
  add: 'added',
  drain: 'drained: no new flows, those it has stay',
  activate: 'active: it gets new flows again',
  set: 'changed',
  remove: 'removed',
};

export function describeChange({ data }: ChangeOutcome): string {
  const { server, change, record, changed, warnings, trafficsets } = data;
  const lines = [
    changed
      ? `${server} ${DONE[change]}${record === null ? '' : ` (${recordText(record)})`}`
      : `${server}: nothing to change`,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...trafficsets.filter((of) => changed || of.changed > 0).flatMap(describeTrafficset),
  ];
  if (data.missing !== null)
    lines.push(`not yet: ${data.missing}; the change is stored, and takes effect then`);
  else if (data.seconds !== null) {
    const nodes = data.nodes === 0 ? 'no node is there' : `${count(data.nodes, 'node')} follow`;
    lines.push(`done in ${data.seconds.toFixed(1)} s: ${nodes}`);
  }
  return lines.join('\n');
}

function describeTrafficset(of: TrafficsetChange): string[] {
  const share = (buckets: number) => `${((100 * buckets) / Math.max(1, of.buckets)).toFixed(1)} %`;
  const lines =
    of.changed === 0
      ? [`${of.trafficset}: version ${of.version}, no bucket changed`]
      : [
          `${of.trafficset}: version ${of.versionBefore} -> ${of.version}, ${of.changed} of ${count(of.buckets, 'bucket')} changed (${share(of.changed)})`,
          ...of.text.map((text) => `  ${text}`),
          ...secondHopLine(of, share),
        ];
  const until = of.nextAt === null ? '' : ` (until ${new Date(of.nextAt).toLocaleTimeString('en-GB')})`;
  return [...lines, ...of.waiting.map((why) => `  waits${until}: ${why}`)];
}

/** Nothing where there are no second hops. */
function secondHopLine(of: TrafficsetChange, share: (buckets: number) => string): string[] {
  if (of.longer + of.secondHopsBefore + of.secondHops === 0) return [];
  return [
    `  second hop: established flows of ${count(of.longer, 'bucket')} (${share(of.longer)}) take it now; ` +
      `${of.secondHopsBefore} -> ${of.secondHops} buckets have one`,
  ];
}

function recordText({ dip, weight, pool, state }: ServerRecord): string {
  return `${dip}, weight ${weight}, pool ${pool}${state === 'drained' ? ', drained' : ''}`;
}

export function serverToData({ name, dip, weight, pool, state }: KnownServer): object {
  return { name, dip, weight, pool, state };
}

export function describeServers(servers: readonly KnownServer[]): string {
  if (servers.length === 0)
    return 'the store has no servers: add one with twohop server add, or start a conductor';
  return grid(
    ['server', 'DIP', 'weight', 'pool', 'wanted'],
    servers.map(({ name, dip, weight, pool, state }) => [name, dip, weight, pool, state]),
  );
}
