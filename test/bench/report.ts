import Table from 'cli-table3';
import colors from 'picocolors';
import { rangeChartText } from '../../src/chart/ranges-text.js';
import { chartOf, formatNumber } from './report-chart.js';
import type { Spread } from './stats.js';

/** One measured line of the report. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** Absent where no native twin is needed. */
  readonly native?: Spread;
  readonly js: Spread;
  /** JS / native per round. */
  readonly ratio?: Spread;
  /**
   * What must hold, in words: `ratio <= 2.5`, `median < 50 ms`. Absent where the number is only told. The chart reads
   * it (report-chart.ts).
   */
  readonly bar?: string;
  /** Absent with `bar`. */
  readonly pass?: boolean;
  readonly notes?: readonly string[];
}

/** A benchmark that could not run here, and why. */
export interface Skipped {
  readonly name: string;
  readonly skipped: string;
}

export interface Report {
  readonly command: string;
  readonly machine: string;
  /** What all of it took. */
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
  /** What `--quick` does without. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  readonly pass: boolean;
}

export function formatReport(report: Report): string {
  const table = new Table({
    head: ['benchmark', 'unit', 'C min/med/max', 'JS min/med/max', 'JS/C min/med/max', 'bar', ''],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'left', 'left'],
  });
  for (const row of report.rows) {
    table.push([
      row.name,
      row.unit,
      formatSpread(row.native),
      formatSpread(row.js),
      formatSpread(row.ratio),
      row.bar ?? '',
      row.pass === undefined ? '' : row.pass ? colors.green('PASS') : colors.red('FAIL'),
    ]);
  }
  for (const { name } of report.skipped) table.push([name, '', '', '', '', '', colors.yellow('SKIP')]);
  const notes = [
    ...report.rows.flatMap((row) => (row.notes ?? []).map((note) => `${row.name}: ${note}`)),
    ...report.skipped.map(({ name, skipped }) => `${name}: skipped: ${skipped}`),
  ];
  const chart = rangeChartText(chartOf(report), {
    columns: process.stdout.columns,
    paint: (drawing, good) => (good ? colors.green(drawing) : colors.red(drawing)),
  });
  return [
    report.machine,
    table.toString(),
    ...notes,
    ...report.leftOut.map(({ name, why }) => `${name}: left out by --quick: ${why}`),
    '',
    chart,
    '',
    `reproduce: ${report.command}`,
  ].join('\n');
}

function formatSpread(spread: Spread | undefined): string {
  if (spread === undefined) return '';
  return [spread.min, spread.median, spread.max].map(formatNumber).join(' / ');
}
