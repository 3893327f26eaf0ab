import { describe, expect, it } from 'vitest';
import type { Report, Row } from './report.js';
import { chartOf, limitOf } from './report-chart.js';

const ratio = { min: 1, median: 2, max: 4 };
const js = { min: 10, median: 20, max: 40 };
const row = (bar?: string, pass = true): Row => ({
  name: 'row',
  unit: 'ms',
  js,
  ratio,
  ...(bar === undefined ? {} : { bar, pass }),
});

describe('limitOf', () => {
  it.each([
    ['ratio <= 2.5', { spread: ratio, value: 2.5, most: true }],
    ['ratio >= 0.65', { spread: ratio, value: 0.65, most: false }],
    ['median < 50 ms', { spread: js, value: 50, most: true }],
    ['all < 1000 ms', { spread: js, value: 1000, most: true }],
    ['>= 500000', { spread: js, value: 500_000, most: false }],
    ['<= 200', { spread: js, value: 200, most: true }],
  ])('reads %s', (bar, limit) => {
    expect(limitOf(row(bar))).toEqual(limit);
  });

  it('has none where there is no bar in numbers', () => {
    expect(limitOf(row())).toBeUndefined();
    expect(limitOf(row('0 bytes over 10 million packets'))).toBeUndefined();
  });
});

describe('the chart of a report', () => {
  const report = (rows: Row[]): Report => ({
    command: 'npm run bench',
    machine: 'machine',
    seconds: 1,
    rows,
    skipped: [],
    leftOut: [],
    pass: rows.every(({ pass }) => pass !== false),
  });

  it('has every row as many times better than its bar, worst first', () => {
    const { rows } = chartOf(report([row('ratio <= 4', true), row('ratio >= 2', true), row()]));
    expect(rows.map(({ range }) => range)).toEqual([
      { low: 1, middle: 2, high: 4 },
      { low: 0.5, middle: 1, high: 2 },
      undefined,
    ]);
    expect(rows.map(({ text }) => text)).toEqual([
      '1.00 / 2.00 / 4.00, ratio <= 4',
      '1.00 / 2.00 / 4.00, ratio >= 2',
      '1.00 / 2.00 / 4.00, stated',
    ]);
  });

  it('says how many were missed', () => {
    expect(chartOf(report([row('ratio <= 1', false)])).subtitle).toContain('1 missed');
    expect(chartOf(report([row('ratio <= 1', false)])).rows[0].good).toBe(false);
    expect(chartOf(report([row('ratio <= 4', true)])).subtitle).toContain('every bar is reached');
  });
});
