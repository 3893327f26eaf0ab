import Table from 'cli-table3';
import { bar } from '../chart/terminal.js';
import { nodesBehind, type Overview } from '../conductor/overview.js';
import type { NodeRecord, StatusRecord } from '../store/records.js';
import { colors } from './colors.js';
import { count } from './table-output.js';

/** What `twohop status` and `twohop top` show. */

const BAR_COLUMNS = 8;
const LAST_MOVES = 8;

export interface ServerRow {
  readonly name: string;
  readonly dip: string;
  readonly weight: number;
  readonly pool: string;
  readonly wanted: 'active' | 'drained';
  /** null: no conductor has judged it. */
  readonly standing: string | null;
  readonly why: string;
  readonly latency: number | null;
  /** By trafficset. */
  readonly load: Readonly<Record<string, number | null>>;
  /** By trafficset: share of new flows, 0 to 1. */
  readonly newFlows: Readonly<Record<string, number>>;
  readonly node: NodeRecord | null;
}

/** Servers as wanted, and as they stand. */
export function serverRows({ servers, status, nodes }: Overview): ServerRow[] {
  return servers.map(({ name, dip, weight, pool, state }) => {
    const judged = status?.servers[name];
    const shares = Object.entries(status?.trafficsets ?? {}).map(
      ([trafficset, { newFlows, buckets }]) =>
        [trafficset, buckets === 0 ? 0 : (newFlows[name] ?? 0) / buckets] as const,
    );
    return {
      name,
      dip,
      weight,
      pool,
      wanted: state,
      standing: judged?.standing ?? null,
      why: judged?.why ?? '',
      latency: judged?.latency ?? null,
      load: judged?.load ?? {},
      newFlows: Object.fromEntries(shares),
      node: nodes.get(name) ?? null,
    };
  });
}

/** For `--json`. */
export function overviewToData(overview: Overview): object {
  const { store, revision, leader, conductors, status, damaged } = overview;
  const behind = nodesBehind(overview);
  return {
    store: { address: store, reachable: true, revision },
    conductors: conductors.map(({ name, since }) => ({ name, since, active: name === leader?.name })),
    active: leader?.name ?? null,
    followed: status?.followed ?? null,
    wideProblem: status?.wideProblem ?? null,
    damagedServers: damaged,
    servers: serverRows(overview),
    trafficsets: Object.fromEntries(
      Object.entries(status?.trafficsets ?? {}).map(([name, trafficset]) => [
        name,
        { ...trafficset, nodesBehind: behind.get(name) ?? [] },
      ]),
    ),
  };
}

/** Between the table of servers and the rest: what `top` draws of load over time, by server. */
export type LoadColumn = ReadonlyMap<string, string>;

/** One screen. @param columns of the terminal */
export function describeOverview(overview: Overview, columns: number, history?: LoadColumn): string {
  const { status } = overview;
  return [
    ...describeHead(overview),
    '',
    describeServerTable(serverRows(overview), Object.keys(status?.trafficsets ?? {}), columns, history),
    ...Object.keys(status?.trafficsets ?? {}).flatMap((name) => ['', ...describeTrafficset(overview, name)]),
    ...describeMoves(status, columns),
  ].join('\n');
}

function describeHead({ store, conductors, leader, status, damaged }: Overview): string[] {
  const others = conductors.filter(({ name }) => name !== leader?.name).map(({ name }) => name);
  const active =
    leader === null
      ? colors.red('none is active: nothing follows servers, health or load')
      : `${colors.bold(leader.name)} is active since ${clock(leader.since)}`;
  const standby =
    others.length === 0 ? 'none stands by' : `${others.join(', ')} stand${others.length === 1 ? 's' : ''} by`;
  const lines = [`store       ${store}`, `conductors  ${active}; ${standby}`];
  if (status !== null && status.conductor !== leader?.name) {
    lines.push(`            what follows is what conductor ${status.conductor} said last`);
  }
  for (const name of damaged) lines.push(colors.red(`servers/${name} in the store cannot be read`));
  if (status?.wideProblem != null) lines.push(colors.red(`held back   ${status.wideProblem}`));
  return lines;
}

function describeServerTable(
  rows: readonly ServerRow[],
  trafficsets: readonly string[],
  columns: number,
  history: LoadColumn | undefined,
): string {
  if (rows.length === 0) return 'no servers: add one with twohop server add, or start a conductor';
  const largest = Math.max(...rows.flatMap(({ newFlows }) => Object.values(newFlows)), 0);
  const head = [
    'server',
    'DIP',
    'weight',
    'standing',
    'cpu',
    'load',
    ...(history === undefined ? [] : ['load, over time']),
  ];
  const body = rows.map((row) => [
    row.name,
    row.dip,
    `${row.weight}`,
    standingOf(row),
    row.node === null ? '-' : row.node.cpu === null ? '?' : `${Math.round(100 * row.node.cpu)} %`,
    loadOf(row),
    ...(history === undefined ? [] : [history.get(row.name) ?? '']),
    ...trafficsets.map((name) => shareOf(row.newFlows[name] ?? 0, largest)),
  ]);
  const table = new Table({
    head: [...head, ...trafficsets.map((name) => `new flows, ${name}`)],
    style: { head: [], border: [], compact: true },
  });
  for (const row of body) table.push(row);
  const whys = rows
    .filter(({ why, standing }) => why !== '' && (standing !== 'in' || why.includes('held back')))
    .map(({ name, why }) => cut(`${name}: ${why}`, columns));
  return [table.toString(), ...whys].join('\n');
}

function standingOf({ standing, wanted }: ServerRow): string {
  if (standing === null) return `? (${wanted})`;
  if (standing === 'in') return wanted === 'drained' ? 'in (drained soon)' : colors.green('in');
  return standing === 'down' ? colors.red('down') : colors.yellow(standing);
}

/** As a share of the pool's mean; of several trafficsets, the one furthest from it. */
function loadOf({ load }: ServerRow): string {
  const known = Object.values(load).filter((one) => one !== null);
  if (known.length === 0) return '-';
  const worst = known.reduce((worst, one) => (Math.abs(one - 1) > Math.abs(worst - 1) ? one : worst));
  return `${worst.toFixed(2)} x mean`;
}

function shareOf(share: number, largest: number): string {
  if (share === 0) return '-';
  return `${`${(100 * share).toFixed(1)} %`.padStart(7)} ${bar(share / largest, BAR_COLUMNS)}`;
}

function describeTrafficset(overview: Overview, name: string): string[] {
  const { status, nodes } = overview;
  const trafficset = status?.trafficsets[name];
  if (trafficset === undefined) return [];
  const { version, buckets, secondHops, waiting, nextAt } = trafficset;
  const behind = nodesBehind(overview).get(name) ?? [];
  const share = buckets === 0 ? 0 : (100 * secondHops) / buckets;
  const held =
    nodes.size === 0
      ? 'no node is there'
      : behind.length === 0
        ? `${count(nodes.size, 'node')} use it`
        : `${nodes.size - behind.length} of ${count(nodes.size, 'node')} use it; behind: ${behind
            .map((node) => `${node} (version ${nodes.get(node)?.tables[name] ?? -1})`)
            .join(', ')}`;
  const until = nextAt === null ? '' : ` until ${clock(nextAt)}`;
  return [
    `${colors.bold(name)}: version ${version}, ${count(buckets, 'bucket')}, ${secondHops} with a second hop (${share.toFixed(1)} %); ${held}`,
    ...waiting.map((why) => `  waits${until}: ${why}`),
  ];
}

function describeMoves(status: StatusRecord | null, columns: number): string[] {
  const moves = Object.entries(status?.trafficsets ?? {})
    .flatMap(([name, trafficset]) => trafficset.moves.map((move) => ({ name, ...move })))
    .sort((a, b) => a.at.localeCompare(b.at))
    .slice(-LAST_MOVES);
  if (moves.length === 0) return [];
  return [
    '',
    'last moves',
    ...moves.flatMap(({ name, at, version, text }) =>
      text.map((line) => cut(`  ${clock(at)} ${name} ${version}  ${line}`, columns)),
    ),
  ];
}

function clock(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : time.toLocaleTimeString('en-GB');
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}
