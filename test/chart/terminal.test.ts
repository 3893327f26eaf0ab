import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LineChart } from '../../src/chart/chart.js';
import { bar, lineChartText, sparkline } from '../../src/chart/terminal.js';
import { niceTicks } from '../../src/chart/ticks.js';

const CHART: LineChart = {
  title: 'Load',
  xName: 'time in s',
  yName: 'CPU',
  series: [
    {
      name: 'slow',
      points: [
        [0, 80],
        [50, 80],
        [100, 40],
      ],
    },
    {
      name: 'fast',
      points: [
        [0, 20],
        [50, 20],
        [100, 40],
      ],
    },
  ],
};

describe('line charts in a terminal', () => {
  it('draws each series in its letter, high values above low ones, and explains the letters', () => {
    const lines = lineChartText(CHART, { columns: 60, rows: 10 }).split('\n');
    expect(lines[0]).toBe('Load');
    const slow = lines.findIndex((line) => /aaaa/.test(line));
    const fast = lines.findIndex((line) => /bbbb/.test(line));
    expect(slow).toBeGreaterThan(0);
    expect(fast).toBeGreaterThan(slow);
    expect(lines.at(-1)).toBe('  a slow   b fast');
    expect(lines.at(-2)?.trim()).toBe('time in s');
  });

  it('keeps to the width it is given, with many series and long names', () => {
    const series = Array.from({ length: 12 }, (_, index) => ({
      name: `server-number-${index}`,
      points: Array.from({ length: 500 }, (_, x) => [x, Math.sin(x / 40 + index)] as const),
    }));
    for (const columns of [40, 80, 133]) {
      const longest = Math.max(
        ...lineChartText({ ...CHART, series }, { columns })
          .split('\n')
          .map((l) => l.length),
      );
      expect(longest).toBeLessThanOrEqual(columns);
    }
  });

  it('has no escape codes unless colours are asked for', () => {
    expect(lineChartText(CHART)).not.toContain('\u001b');
    expect(lineChartText(CHART, { color: true })).toContain('\u001b[34m');
  });

  it('draws one point, one value and nothing at all', () => {
    expect(lineChartText({ ...CHART, series: [{ name: 'one', points: [[5, 3]] }] })).toContain('a one');
    expect(
      lineChartText({
        ...CHART,
        series: [
          {
            name: 'flat',
            points: [
              [0, 0],
              [9, 0],
            ],
          },
        ],
      }),
    ).toContain('aaaa');
    expect(lineChartText({ ...CHART, series: [{ name: 'none', points: [] }] })).toBe('');
  });

  it('shows values outside of the asked range at its edge', () => {
    const lines = lineChartText({ ...CHART, yMin: 0, yMax: 60 }, { rows: 10 }).split('\n');
    expect(lines.find((line) => line.includes('aa'))).toMatch(/^ *60┤a+/);
  });
});

describe('ticks', () => {
  it('enclose the range, in equal round steps', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
        (low, size) => {
          const ticks = niceTicks(low, low + size, 6);
          expect(ticks[0]).toBeLessThanOrEqual(low + 1e-6 * size);
          expect(ticks[ticks.length - 1]).toBeGreaterThanOrEqual(low + size - 1e-6 * size);
          expect(ticks.length).toBeGreaterThanOrEqual(2);
          expect(ticks.length).toBeLessThanOrEqual(9);
        },
      ),
    );
    expect(niceTicks(0, 0.3, 4)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(niceTicks(0, 24, 9, 3)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24]);
  });
});

describe('small charts', () => {
  it('a sparkline has one block for each value, a blank for none', () => {
    expect(sparkline([0, 4, Number.NaN, 8])).toBe('▁▅ █');
    expect(sparkline([3, 3], 3, 3)).toBe('▁▁');
  });

  it('a bar is as long as its share, in eighths', () => {
    expect(bar(0.5, 4)).toBe('██');
    expect(bar(1 / 32, 4)).toBe('▏');
    expect(bar(7, 4)).toBe('████');
    expect(bar(0, 4)).toBe('');
  });
});
