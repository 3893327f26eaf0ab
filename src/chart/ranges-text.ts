import { clampTo, type RangeAxis, type RangeChart, type RangeRow, rangeAxis } from './ranges.js';

/** A {@link RangeChart} in characters. */

export interface RangeTextOptions {
  /** Width of everything in columns. */
  readonly columns?: number;
  /** Paints the drawing of one row, good or not; by default nothing is painted. */
  readonly paint?: (drawing: string, good: boolean) => string;
}

const LEAST_TRACK = 32;
const MOST_TRACK = 60;

/** @returns lines without a newline at the end; a bar that is not covered by a line is drawn as `┊` */
export function rangeChartText(chart: RangeChart, options: RangeTextOptions = {}): string {
  const { columns = 160, paint = (drawing) => drawing } = options;
  const axis = rangeAxis(chart);
  const names = Math.max(...chart.rows.map(({ name }) => name.length));
  const texts = Math.max(...chart.rows.map(({ text }) => text.length));
  const width = Math.max(LEAST_TRACK, Math.min(MOST_TRACK, columns - names - texts - 4));
  const lines = chart.rows.map((row) =>
    `${row.name.padEnd(names)}  ${paint(track(row, axis, width), row.good)}  ${row.text}`.trimEnd(),
  );
  const scale = ' '.repeat(names + 2) + scaleOf(axis, width);
  return [
    chart.title,
    ...(chart.subtitle === undefined ? [] : [chart.subtitle]),
    ...lines,
    scale,
    `${' '.repeat(names + 2)}${chart.xName}`,
  ].join('\n');
}

function columnOf(value: number, axis: RangeAxis, width: number): number {
  const share = Math.log(clampTo(axis, value) / axis.low) / Math.log(axis.high / axis.low);
  return Math.round(share * (width - 1));
}

function track({ range }: RangeRow, axis: RangeAxis, width: number): string {
  const cells = new Array<string>(width).fill(' ');
  cells[columnOf(1, axis, width)] = '┊';
  if (range !== undefined) {
    const [low, middle, high] = [range.low, range.middle, range.high].map((value) =>
      columnOf(value, axis, width),
    );
    cells.fill('─', low, high + 1);
    cells[low] = '├';
    cells[high] = '┤';
    cells[middle] = '●';
  }
  return cells.join('');
}

function scaleOf(axis: RangeAxis, width: number): string {
  let line = '';
  for (const tick of axis.ticks) {
    const label = String(tick);
    // The label's first character stands below the place it names.
    const at = Math.min(columnOf(tick, axis, width), width - label.length);
    if (line === '' || at > line.length) line = line.padEnd(at) + label;
  }
  return line;
}
