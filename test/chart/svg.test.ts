import { describe, expect, it } from 'vitest';
import { formatClock, formatPercent, type LineChart } from '../../src/chart/chart.js';
import { barChartSvg, lineChartSvg } from '../../src/chart/svg.js';

const LINES: LineChart = {
  title: 'Load & capacity',
  subtitle: 'one of them is <slow>',
  xName: 'time in s',
  yName: 'CPU load',
  series: [
    {
      name: 'server-1',
      points: [
        [0, 0.8],
        [60, 0.8],
        [120, 0.5],
      ],
    },
    {
      name: 'server-2',
      points: [
        [0, 0.4],
        [60, 0.4],
        [120, 0.5],
      ],
    },
  ],
  marks: [{ x: 60, text: 'balancing on' }],
  band: { from: 0.45, to: 0.55, text: 'within 5 %' },
  formatY: formatPercent,
};

const BARS = {
  title: 'Broken connections',
  xName: 'lifetime',
  yName: 'connections',
  categories: ['page', 'day'],
  series: [
    { name: 'Twohop', values: [0, 12] },
    { name: 'ECMP', values: [40_000, 900] },
  ],
  logarithmic: true,
};

/** Opens and closes tags in order; enough of XML to find what a browser would refuse. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, end, name, attributes, empty] of svg.matchAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
  )) {
    if (end === '/') expect(open.pop()).toBe(name);
    else if (empty !== '/') open.push(name);
    expect(attributes).toBeDefined();
  }
  expect(open).toEqual([]);
  // Whatever is left of the tags and texts: a `<` or `&` of its own would be no XML.
  const rest = svg.replace(/<\/?[\w:]+(\s+[\w:-]+="[^"<]*")*\s*\/?>/g, '');
  expect(rest).not.toMatch(/<|&(?!amp;|lt;|gt;|quot;|#)/);
}

describe('charts as SVG', () => {
  it('is one well-formed document with the given size', async () => {
    for (const svg of [await lineChartSvg(LINES, { width: 600, height: 300 }), await barChartSvg(BARS)]) {
      expect(svg).toMatch(/^<svg [^>]*>/);
      expect(svg).toMatch(/<\/svg>\n$/);
      expectWellFormed(svg);
    }
    expect(await lineChartSvg(LINES, { width: 600, height: 300 })).toContain('width="600" height="300"');
  });

  it('names title, axes, series, marks and bands, with what XML reserves escaped', async () => {
    const svg = await lineChartSvg(LINES);
    for (const text of [
      'Load &amp; capacity',
      '&lt;slow&gt;',
      'time in s',
      'CPU load',
      'server-1',
      'server-2',
    ]) {
      expect(svg).toContain(text);
    }
    for (const text of ['balancing on', 'within 5 %', '60 %']) expect(svg).toContain(text);
  });

  it('names categories, series and values of bars; a bar of 0 on a logarithmic axis says 0', async () => {
    const svg = await barChartSvg(BARS);
    for (const text of ['page', 'day', 'Twohop', 'ECMP', '>0<', '>40000<']) expect(svg).toContain(text);
  });

  it('draws the same bytes again, whatever was drawn in between', async () => {
    const first = await lineChartSvg(LINES);
    await barChartSvg(BARS);
    expect(await lineChartSvg(LINES)).toBe(first);
  });

  it('gives many lines of few kinds one legend entry for each kind', async () => {
    const series = Array.from({ length: 30 }, (_, index) => ({
      name: `server-${index}`,
      group: `generation ${index % 3}`,
      points: [
        [0, index],
        [1, index],
      ] as const,
    }));
    const svg = await lineChartSvg({ ...LINES, series });
    for (const kind of [0, 1, 2]) expect(svg.match(new RegExp(`generation ${kind}`, 'g'))).toHaveLength(1);
    expect(svg).not.toContain('server-');
  });
});

describe('numbers for people', () => {
  it('writes hours as a clock and shares as per cent', () => {
    expect([0, 6.5, 23.999].map(formatClock)).toEqual(['00:00', '06:30', '24:00']);
    expect([0, 0.0042, 0.5, 1].map(formatPercent)).toEqual(['0 %', '0.42 %', '50 %', '100 %']);
  });
});
