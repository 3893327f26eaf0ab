import { type BarChart, formatClock, formatPercent, type LineChart } from '../chart/chart.js';
import { barChartSvg, lineChartSvg } from '../chart/svg.js';
import { BALANCED } from './meter.js';
import { SCHEMES, type SimulationResult } from './simulate.js';

/** Drawings of a simulated day. */

export interface Drawing {
  readonly file: string;
  readonly svg: string;
}

/** Highest deviation that is drawn: what is above is bad, however bad. */
const MOST_DEVIATION = 0.6;
const HOURS_PER_LABEL = 3;
/** Five bars for each class, each with its number, want some room. */
const BARS = { width: 1040, height: 440 };

export async function drawResult(result: SimulationResult): Promise<Drawing[]> {
  const load = (scheme: string) => lineChartSvg(loadChart(result, scheme));
  return [
    { file: 'broken-connections.svg', svg: await barChartSvg(brokenChart(result), BARS) },
    { file: 'load-deviation.svg', svg: await lineChartSvg(deviationChart(result)) },
    { file: 'second-hop.svg', svg: await lineChartSvg(secondHopChart(result)) },
    { file: 'load-twohop.svg', svg: await load(SCHEMES.twohop) },
    { file: 'load-maglev.svg', svg: await load(SCHEMES.maglev) },
    { file: 'load-ecmp.svg', svg: await load(SCHEMES.ecmp) },
  ];
}

function brokenChart(result: SimulationResult): BarChart {
  return {
    title: 'Connections broken by changes of tables',
    subtitle: `${day(result)}, the same history for all; logarithmic`,
    xName: 'mean lifetime of the connections',
    yName: 'broken connections',
    categories: result.classes.map(({ name, lifetime }) => `${name} (${formatLifetime(lifetime)})`),
    series: result.schemes.map(({ name, brokenByTable }) => ({
      name,
      values: brokenByTable.map(Math.round),
    })),
    logarithmic: true,
    formatY: formatCount,
  };
}

function deviationChart(result: SimulationResult): LineChart {
  return {
    title: 'How far loads are from their mean',
    subtitle: `${day(result)}: 99 of 100 settled servers are closer to the mean load than this`,
    ...timeOfDay(result),
    yName: 'deviation from the mean load',
    series: result.curves.deviation,
    yMin: 0,
    yMax: MOST_DEVIATION,
    formatY: formatPercent,
    band: { from: 0, to: BALANCED, text: '' },
  };
}

function secondHopChart(result: SimulationResult): LineChart {
  return {
    title: 'Packets that take the second hop',
    subtitle: `${day(result)}: ${formatPercent(result.secondHop.mean)} of the packets of all of it`,
    ...timeOfDay(result),
    yName: 'share of all packets',
    series: [result.curves.secondHop],
    yMin: 0,
    formatY: formatPercent,
  };
}

function loadChart(result: SimulationResult, scheme: string): LineChart {
  const curves = result.curves.load[scheme];
  return {
    title: `Load of each server: ${scheme}`,
    subtitle: `${day(result)}, of which ${curves.length} are drawn; dips are deploys, restarts and failures`,
    ...timeOfDay(result),
    yName: 'CPU load',
    // A point every quarter of an hour draws the same picture in a third of the bytes.
    series: curves.map(({ name, generation, points }) => ({
      name,
      group: generation,
      points: points.filter((_, index) => index % 3 === 0),
    })),
    yMin: 0,
    yMax: 1.5,
    formatY: formatPercent,
  };
}

function timeOfDay({
  hours,
}: SimulationResult): Pick<LineChart, 'xName' | 'formatX' | 'xStep' | 'xMin' | 'xMax'> {
  return {
    xMin: 0,
    xMax: hours,
    xName: 'time of day',
    formatX: formatClock,
    ...(hours > 2 * HOURS_PER_LABEL ? { xStep: HOURS_PER_LABEL } : {}),
  };
}

function day({ servers, hours, seed }: SimulationResult): string {
  return `${hours} hours of ${servers} servers, seed ${seed}`;
}

/** `30 s`, `10 min`, `3 h` */
export function formatLifetime(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;
}

/** `950`, `21k`, `3.5M`: two digits say enough. */
export function formatCount(value: number): string {
  for (const [unit, letter] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (value >= 0.9995 * unit)
      return `${Number((value / unit).toPrecision(value >= 100 * unit ? 3 : 2))}${letter}`;
  }
  return String(Math.round(value));
}
