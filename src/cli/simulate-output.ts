import Table from 'cli-table3';
import { formatPercent } from '../chart/chart.js';
import { sparkline } from '../chart/terminal.js';
import { formatCount, formatLifetime } from '../simulation/charts.js';
import type { Curve, SimulationResult } from '../simulation/simulate.js';
import { colors } from './colors.js';

/** A simulated day in words and tables. */

export const TARGETS = { secondHop: 0.01, balanced: 0.99 } as const;

const HAPPENED: readonly (readonly [kind: string, text: string])[] = [
  ['drain', 'times a server was drained (deploys, restarts)'],
  ['restart', 'restarts that lose connections'],
  ['die', 'failures'],
  ['add', 'servers added'],
  ['weight', 'changes of weight'],
  ['slow', 'changes of speed that nobody announced'],
  ['unhealthy', 'failed health checks of servers that were well'],
];

export function describeResult(result: SimulationResult): string {
  const { servers, hours, buckets, balanceInterval, seed, plans, wideProblems } = result;
  const happened = HAPPENED.filter(([kind]) => result.events[kind] !== undefined).map(
    ([kind, text]) => `  ${String(result.events[kind]).padStart(5)} ${text}`,
  );
  return [
    colors.bold(`${hours} hours of ${servers} servers, ${buckets} buckets, seed ${seed}`),
    ...happened,
    `  ${String(plans).padStart(5)} plans, a balance step every ${balanceInterval} s; ${wideProblems} times most servers reported unhealthy at once`,
    '',
    colors.bold('Connections broken by changes of tables, by mean lifetime'),
    broken(result),
    '',
    colors.bold('Load of the servers'),
    balance(result),
    '',
    colors.bold('Packets that take the second hop'),
    `  ${formatPercent(result.secondHop.mean)} of the day, ${formatPercent(result.secondHop.largest)} in the minute with most  ${overTheDay(result.curves.secondHop)}`,
    '',
    colors.bold('Buckets that the planner changed'),
    changes(result),
    '',
    ...targets(result),
  ].join('\n');
}

function broken({ classes, schemes }: SimulationResult): string {
  const table = newTable(
    ['', ...classes.map(({ name, lifetime }) => `${name} ${formatLifetime(lifetime)}`), 'lost with a server'],
    1,
  );
  table.push(['begun', ...classes.map(({ begun }) => formatCount(begun)), '']);
  for (const { name, brokenByTable, lostWithServer } of schemes) {
    table.push([name, ...brokenByTable.map(formatCount), formatCount(sum(lostWithServer))]);
  }
  return table.toString();
}

function balance({ schemes, curves }: SimulationResult): string {
  const table = newTable(
    ['', 'within 5 %', 'all within 5 %', '99 of 100 within', 'farthest', '99 of 100, over the day'],
    1,
  );
  for (const [index, scheme] of schemes.entries()) {
    table.push([
      scheme.name,
      formatPercent(scheme.balanced),
      formatPercent(scheme.balancedOfAll),
      formatPercent(scheme.deviation99),
      formatPercent(scheme.largestDeviation),
      overTheDay(curves.deviation[index], 0.6),
    ]);
  }
  return [
    table.toString(),
    '  share of the server-minutes within 5 % of the mean load: of servers to which nothing happened for 10 minutes;',
    '  and of all that get new flows',
  ].join('\n');
}

function changes({ changes: counts }: SimulationResult): string {
  const kinds = [...new Set(counts.map(({ kind }) => kind))];
  const rules = [...new Set(counts.map(({ rule }) => rule))];
  const table = newTable(['rule', ...kinds], 1);
  for (const rule of rules) {
    const of = (kind: string) => counts.find((one) => one.rule === rule && one.kind === kind)?.buckets ?? 0;
    table.push([rule, ...kinds.map((kind) => of(kind))]);
  }
  return table.toString();
}

/** The two figures that are asked of the planner. */
function targets({ secondHop, schemes }: SimulationResult): string[] {
  const verdict = (met: boolean) => (met ? colors.green('met') : colors.yellow('missed'));
  return [
    `less than ${formatPercent(TARGETS.secondHop)} of the packets take the second hop: ${verdict(secondHop.mean < TARGETS.secondHop)}`,
    `load within 5 % of the mean in ${formatPercent(TARGETS.balanced)} of the server-minutes: ${verdict(schemes[0].balanced >= TARGETS.balanced)}`,
  ];
}

/** One block for each hour. */
function overTheDay({ points }: Curve, high?: number): string {
  const hours = new Map<number, number[]>();
  for (const [hour, value] of points) {
    const slot = Math.floor(hour);
    hours.set(slot, [...(hours.get(slot) ?? []), value]);
  }
  return sparkline(
    [...hours.values()].map((values) => sum(values) / values.length),
    0,
    high,
  );
}

function newTable(head: readonly string[], leftColumns: number): Table.Table {
  return new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, index) => (index < leftColumns ? 'left' : 'right')),
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
