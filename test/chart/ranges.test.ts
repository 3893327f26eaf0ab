import { describe, expect, it } from 'vitest';
import { type RangeChart, rangeAxis } from '../../src/chart/ranges.js';
import { rangeChartSvg } from '../../src/chart/ranges-svg.js';
import { rangeChartText } from '../../src/chart/ranges-text.js';

const CHART: RangeChart = {
  title: 'Against the bars',
  xName: 'times better than the bar',
  rows: [
    { name: 'fast & far', range: { low: 2, middle: 3, high: 900 }, good: true, text: '1 / 2 / 3' },
    { name: 'slow', range: { low: 0.6, middle: 0.7, high: 0.8 }, good: false, text: '4 / 5 / 6' },
    { name: 'stated', good: true, text: '7, stated' },
  ],
};

const lineOf = (text: string, name: string) => text.split('\n').find((line) => line.startsWith(name)) ?? '';

describe('the axis of ranges', () => {
  it('reaches round the bar at least, and no further than is readable', () => {
    expect(rangeAxis({ ...CHART, rows: [] })).toMatchObject({ low: 0.5, high: 4 });
    expect(rangeAxis(CHART)).toEqual({ low: 0.5, high: 10, ticks: [0.5, 1, 2, 4, 8] });
    const far = { ...CHART.rows[0], range: { low: 0.001, middle: 1, high: 1 } };
    expect(rangeAxis({ ...CHART, rows: [far] }).low).toBe(0.25);
  });
});

describe('ranges in a terminal', () => {
  it('draws each row on its side of the bar, from low to high', () => {
    const text = rangeChartText(CHART, { columns: 80 });
    const bar = lineOf(text, 'stated').indexOf('┊');
    const good = lineOf(text, 'fast & far');
    const bad = lineOf(text, 'slow');
    expect(good.indexOf('┊')).toBe(bar);
    expect(good.indexOf('├')).toBeGreaterThan(bar);
    expect(good.indexOf('●')).toBeGreaterThan(good.indexOf('├'));
    expect(good.indexOf('┤')).toBeGreaterThan(good.indexOf('●'));
    expect(bad.indexOf('┤')).toBeLessThan(bar);
    expect(lineOf(text, 'stated')).not.toContain('●');
    expect(lineOf(text, 'slow')).toMatch(/4 \/ 5 \/ 6$/);
  });

  it('writes the scale below, 1 below the bar', () => {
    const lines = rangeChartText(CHART, { columns: 80 }).split('\n');
    const scale = lines.at(-2) ?? '';
    expect(scale.trim().split(/ +/)).toEqual(['0.5', '1', '2', '4', '8']);
    expect(scale.search(/(?<= )1/)).toBe(lineOf(lines.join('\n'), 'stated').indexOf('┊'));
  });

  it('paints by what holds', () => {
    const text = rangeChartText(CHART, {
      paint: (drawing, good) => (good ? `<${drawing}>` : `!${drawing}!`),
    });
    expect(lineOf(text, 'slow')).toMatch(/!.*●.*!/);
    expect(lineOf(text, 'fast & far')).toMatch(/<.*●.*>/);
  });
});

describe('ranges as SVG', () => {
  it('shows every name and text, a dot for each range, and the bar', async () => {
    const svg = await rangeChartSvg(CHART);
    for (const text of ['fast &amp; far', 'slow', 'stated', '4 / 5 / 6', 'the bar', '0.5×', 'times better']) {
      expect(svg).toContain(text);
    }
    const dots = [...svg.matchAll(/<circle [^>]*fill="(#[0-9a-f]{6})"/g)].map(([, fill]) => fill);
    expect(dots).toEqual(['#0072b2', '#d55e00']);
  });

  it('grows with its rows', async () => {
    const height = async (chart: RangeChart) =>
      Number(/height="(\d+)"/.exec(await rangeChartSvg(chart))?.[1]);
    const more = { ...CHART, rows: [...CHART.rows, ...CHART.rows] };
    expect(await height(more)).toBe((await height(CHART)) + 60);
  });
});
