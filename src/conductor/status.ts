import type { StatusRecord } from '../store/records.js';
import type { Office } from './office.js';
import type { TrafficsetKeeper } from './trafficset-keeper.js';

/** What the active conductor thinks, for `twohop status`. */
export function statusOf(conductor: string, office: Office, serversRevision: number): StatusRecord {
  const keepers = [...office.keepers.values()];
  const wide = byReason(keepers.map(({ name, health }) => [name, health.verdict?.wideProblem ?? '']));
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

/** What one trafficset says of the servers, by name. */
interface View {
  readonly trafficset: string;
  readonly standings: ReadonlyMap<string, Standing>;
  readonly whys: ReadonlyMap<string, string>;
  readonly loads: ReadonlyMap<string, number>;
  readonly latencies: ReadonlyMap<string, number | null>;
}

function viewOf(keeper: TrafficsetKeeper): View {
  return {
    trafficset: keeper.name,
    standings: new Map(keeper.servers.map(({ name, standing }) => [name, standing])),
    whys: new Map([...(keeper.health.verdict?.standings ?? [])].map(([name, { why }]) => [name, why])),
    loads: keeper.deviations(),
    latencies: new Map(keeper.health.reports.map(({ server, latency }) => [server, latency])),
  };
}

/** In the worst of its standings, with the reasons from all trafficsets. */
function serversOf(keepers: readonly TrafficsetKeeper[]): StatusRecord['servers'] {
  const views = keepers.map(viewOf);
  const names = new Set(views.flatMap(({ standings }) => [...standings.keys()]));
  return Object.fromEntries([...names].map((name) => [name, serverOf(name, views)]));
}

function serverOf(name: string, views: readonly View[]): StatusRecord['servers'][string] {
  const standings = views.map((view) => view.standings.get(name));
  const standing = WORST_FIRST.find((one) => standings.includes(one)) ?? 'gone';
  const reasons = byReason(views.map((view) => [view.trafficset, view.whys.get(name) ?? '']));
  const latencies = views.map((view) => view.latencies.get(name) ?? null);
  return {
    standing,
    why: [...(standing === 'drained' ? ['drained by the operator'] : []), ...reasons].join('; '),
    load: Object.fromEntries(views.map((view) => [view.trafficset, view.loads.get(name) ?? null])),
    latency: latencies.find((latency) => latency !== null) ?? null,
  };
}

type Standing = StatusRecord['servers'][string]['standing'];

const WORST_FIRST = ['gone', 'down', 'drained', 'in'] as const;

/** Each reason once: bare when all trafficsets have it, else behind the names of those that do. */
function byReason(told: readonly (readonly [trafficset: string, reason: string])[]): string[] {
  const reasons = new Map<string, string[]>();
  for (const [trafficset, reason] of told) {
    if (reason !== '') reasons.set(reason, [...(reasons.get(reason) ?? []), trafficset]);
  }
  return [...reasons].map(([reason, names]) =>
    names.length === told.length ? reason : `${names.join(', ')}: ${reason}`,
  );
}
