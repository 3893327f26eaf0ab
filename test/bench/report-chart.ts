import type { RangeChart, RangeRow } from '../../src/chart/ranges.js';
import type { Report, Row } from './report.js';
import type { Spread } from './stats.js';

/** The rows of a report, as far from their bars as they are. */

export function chartOf({ machine, rows, pass, command }: Report): RangeChart {
  const missed = rows.filter((row) => row.pass === false).length;
  return {
    title: 'Benchmarks against their bars',
    subtitle: `${machine}; ${command}\n${pass ? 'every bar is reached' : `${missed} missed`}; median, and the worst and best round; rows without a line have no bar`,
    xName: 'times better than the bar',
    rows: rows.map(rangeOf),
  };
}

/** What a bar's words say: the spread that is judged, and its limit. */
export interface Limit {
  readonly spread: Spread;
  readonly value: number;
  /** Whether less is better. */
  readonly most: boolean;
}

/** @returns undefined where there is no bar, or none in numbers above 0 */
export function limitOf(row: Row): Limit | undefined {
  const [, word, sign, digits] = /^([a-z]*) ?([<>])=? ([\d.]+)/.exec(row.bar ?? '') ?? [];
  const value = Number(digits);
  if (sign === undefined || !(value > 0)) return undefined;
  const spread = word === 'ratio' ? row.ratio : row.js;
  return spread === undefined ? undefined : { spread, value, most: sign === '<' };
}

function rangeOf(row: Row): RangeRow {
  const limit = limitOf(row);
  const numbers = limit?.spread ?? row.ratio ?? row.js;
  const unit = numbers === row.ratio ? '' : ` ${row.unit}`;
  const text = [formatSpread(numbers) + unit, row.bar ?? 'stated'].join(', ');
  return {
    name: row.name,
    good: row.pass !== false,
    text,
    ...(limit === undefined ? {} : { range: timesBetter(limit) }),
  };
}

function timesBetter({ spread, value, most }: Limit): NonNullable<RangeRow['range']> {
  const times = (measured: number) =>
    most ? value / Math.max(measured, Number.MIN_VALUE) : measured / value;
  const [low, high] = most ? [spread.max, spread.min] : [spread.min, spread.max];
  return { low: times(low), middle: times(spread.median), high: times(high) };
}

/** `1.38 / 1.47 / 2.49`, or one number when there was one round. */
function formatSpread({ min, median, max }: Spread): string {
  return (min === max ? [median] : [min, median, max]).map(formatNumber).join(' / ');
}

/** Three significant digits are more than these measurements are worth; large numbers keep their integers. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return Math.round(value).toString();
  return value.toFixed(size >= 10 ? 1 : 2);
}
