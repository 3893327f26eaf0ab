import type { StatusRecord } from '../store/records.js';
import type { Office } from './office.js';
import type { TrafficsetKeeper } from './trafficset-keeper.js';

/** What the active conductor thinks, for `twohop status`. */
export function statusOf(conductor: string, office: Office, serversRevision: number): StatusRecord {
  const keepers = [...office.keepers.values()];
  const wide = keepers.flatMap(({ name, verdict }) =>
    verdict?.wideProblem == null ? [] : [`${name}: ${verdict.wideProblem}`],
  );
  const refused = [...office.refusals].map(([name, why]) => [name, unpublished(why)] as const);
  return {
    conductor,
    followed: followedBy(keepers, refused.length, serversRevision),
    wideProblem: wide.length === 0 ? null : wide.join('; '),
    servers: serversOf(keepers),
    trafficsets: Object.fromEntries([
      ...refused.filter(([name]) => !office.keepers.has(name)),
      ...keepers.map((keeper) => [keeper.name, keeper.status()] as const),
    ]),
  };
}

/** Up to which revision of `servers/` all tables follow. */
function followedBy(keepers: readonly TrafficsetKeeper[], refused: number, serversRevision: number): number {
  if (keepers.length === 0 || refused > 0) return 0;
  return Math.min(serversRevision, ...keepers.map(({ followed }) => followed));
}

/** A trafficset of which nothing is published. */
function unpublished(why: string): StatusRecord['trafficsets'][string] {
  return { version: 0, buckets: 0, newFlows: {}, secondHops: 0, waiting: [why], nextAt: null, moves: [] };
}

/** In the worst of its standings, with the reasons from all trafficsets. */
function serversOf(keepers: readonly TrafficsetKeeper[]): StatusRecord['servers'] {
  const servers: StatusRecord['servers'] = {};
  for (const keeper of keepers) {
    const loads = keeper.deviations();
    const latencies = new Map(keeper.reports.map(({ server, latency }) => [server, latency]));
    for (const { name, standing } of keeper.servers) {
      const judged = keeper.verdict?.standings.get(name)?.why ?? '';
      const why = standing === 'drained' ? ['drained by the operator', judged] : [judged];
      const before = servers[name];
      servers[name] = {
        standing: worse(before?.standing, standing),
        why: joined(before?.why ?? '', why, keepers.length > 1 ? keeper.name : ''),
        load: { ...before?.load, [keeper.name]: loads.get(name) ?? null },
        latency: before?.latency ?? latencies.get(name) ?? null,
      };
    }
  }
  return servers;
}

const ORDER = ['in', 'drained', 'down', 'gone'] as const;
type Standing = (typeof ORDER)[number];

function worse(before: Standing | undefined, now: Standing): Standing {
  return before !== undefined && ORDER.indexOf(before) > ORDER.indexOf(now) ? before : now;
}

/** Reasons of several trafficsets; one that several have is told once. */
function joined(before: string, reasons: readonly string[], trafficset: string): string {
  const told = before === '' ? [] : before.split('; ');
  for (const reason of reasons) {
    if (reason === '' || told.some((one) => one.endsWith(reason))) continue;
    told.push(
      trafficset === '' || reason === 'drained by the operator' ? reason : `${trafficset}: ${reason}`,
    );
  }
  return told.join('; ');
}
