import plot from 'simple-ascii-chart';
import type { LineChart } from './chart.js';
import { niceTicks } from './ticks.js';

/** Charts in characters, for a terminal or a log. */

export interface TerminalOptions {
  /** Width of everything in columns; `process.stdout.columns` where there is a terminal. */
  readonly columns?: number;
  /** Lines of the plot itself, without title, axis and legend. */
  readonly rows?: number;
  /** Lines in colours; without, each series is drawn in a letter of its own. */
  readonly color?: boolean;
}

type AnsiColor = 'ansiBlue' | 'ansiRed' | 'ansiGreen' | 'ansiMagenta' | 'ansiYellow' | 'ansiCyan';
const COLORS: readonly { readonly name: AnsiColor; readonly code: number }[] = [
  { name: 'ansiBlue', code: 34 },
  { name: 'ansiRed', code: 31 },
  { name: 'ansiGreen', code: 32 },
  { name: 'ansiMagenta', code: 35 },
  { name: 'ansiYellow', code: 33 },
  { name: 'ansiCyan', code: 36 },
];
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LEAST_COLUMNS = 30;

/**
 * The x axis reaches from the first to the last point that is drawn; `xMin` and `xMax` leave out points only.
 * @returns lines without a newline at the end; empty when no series has points
 */
export function lineChartText(chart: LineChart, options: TerminalOptions = {}): string {
  const { columns = 80, rows = 14, color = false } = options;
  const series = chart.series.filter(({ points }) => points.length > 0);
  if (series.length === 0) return '';
  const all = series.flatMap(({ points }) => points);
  const yTicks = niceTicks(
    chart.yMin ?? Math.min(...all.map(([, y]) => y)),
    chart.yMax ?? Math.max(...all.map(([, y]) => y)),
    Math.max(2, Math.floor(rows / 2)),
  );
  const yLabel = chart.formatY ?? ((y: number) => String(y));
  const xLabel = chart.formatX ?? ((x: number) => String(x));
  const margin = Math.max(...yTicks.map((tick) => yLabel(tick).length)) + 3;
  const width = Math.max(LEAST_COLUMNS, columns) - margin - 2;
  const low = chart.xMin ?? Math.min(...all.map(([x]) => x));
  const high = chart.xMax ?? Math.max(...all.map(([x]) => x));
  // The library leaves out points outside of the range, and draws a line through where they were.
  const [bottom, top] = [yTicks[0], yTicks[yTicks.length - 1]];
  const lines = series.map(({ points }) =>
    onePerColumn(points, low, high, width).map(([x, y]): [number, number] => [
      x,
      Math.max(bottom, Math.min(top, y)),
    ]),
  );
  // It does not say which line it draws; the point tells.
  const lineOf = new Map(lines.flatMap((line, index) => line.map((point) => [point.join(), index] as const)));
  const drawing = plot(lines, {
    width,
    height: rows,
    yRange: [bottom, top],
    customYAxisTicks: yTicks,
    customXAxisTicks: niceTicks(low, high, Math.max(2, Math.floor(width / 14)), chart.xStep).filter(
      (tick) => tick >= low && tick <= high,
    ),
    formatter: (value, { axis }) => (axis === 'x' ? xLabel(value) : yLabel(value)),
    ...(color
      ? { color: lines.map((_, index) => COLORS[index % COLORS.length].name) }
      : {
          lineFormatter: ({ x, y, plotX, plotY }) => ({
            x: plotX,
            y: plotY,
            symbol: letter(lineOf.get(`${x},${y}`) ?? 0),
          }),
        }),
  });
  return [
    chart.title,
    ...(chart.subtitle === undefined ? [] : [chart.subtitle]),
    `${' '.repeat(margin - 1)}${chart.yName}`,
    ...trimmed(drawing),
    `${' '.repeat(Math.max(0, margin + Math.floor((width - chart.xName.length) / 2)))}${chart.xName}`,
    ...legend(
      series.map(({ name }) => name),
      color,
      columns,
    ),
  ].join('\n');
}

/** `▁▂▃▄▅▆▇█` of values between `low` and `high`; what is not finite is a blank. */
export function sparkline(
  values: readonly number[],
  low = 0,
  high = Math.max(...values.filter(Number.isFinite)),
): string {
  const blocks = '▁▂▃▄▅▆▇█';
  return values
    .map((value) => {
      if (!Number.isFinite(value)) return ' ';
      const share = high > low ? (value - low) / (high - low) : 0;
      return blocks[Math.max(0, Math.min(blocks.length - 1, Math.floor(share * blocks.length)))];
    })
    .join('');
}

/** A bar of at most `columns` characters, for a share of 0 to 1; eighths of a character are shown. */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * columns * 8);
  const rest = eighths % 8;
  return '█'.repeat(eighths >> 3) + (rest === 0 ? '' : ' ▏▎▍▌▋▊▉'[rest]);
}

/**
 * The mean of the points in each column, and what lies on the straight line between its neighbours in a column without
 * points; nothing before the first and after the last point.
 */
function onePerColumn(
  points: readonly (readonly [number, number])[],
  low: number,
  high: number,
  columns: number,
): [number, number][] {
  const step = high > low ? (high - low) / (columns - 1) : 1;
  const sums = new Float64Array(columns);
  const counts = new Uint32Array(columns);
  for (const [x, y] of points) {
    if (x < low || x > high) continue;
    const column = Math.round((x - low) / step);
    sums[column] += y;
    counts[column]++;
  }
  const filled: [column: number, y: number][] = [];
  for (let column = 0; column < columns; column++) {
    if (counts[column] === 0) continue;
    const y = sums[column] / counts[column];
    const last = filled.at(-1);
    for (let gap = (last?.[0] ?? column) + 1; last !== undefined && gap < column; gap++) {
      filled.push([gap, last[1] + ((y - last[1]) * (gap - last[0])) / (column - last[0])]);
    }
    filled.push([column, y]);
  }
  return filled.map(([column, y]) => [low + column * step, y]);
}

/** The library pads with blanks and empty lines. */
function trimmed(drawing: string): string[] {
  const lines = drawing.split('\n').map((line) => line.trimEnd());
  return lines.slice(
    lines.findIndex((line) => line !== ''),
    lines.findLastIndex((line) => line !== '') + 1,
  );
}

/** As many entries on a line as fit. */
function legend(names: readonly string[], color: boolean, columns: number): string[] {
  const lines: string[] = [];
  let length = columns;
  names.forEach((name, index) => {
    const { code } = COLORS[index % COLORS.length];
    const entry = color ? `\u001b[${code}m━━\u001b[39m ${name}` : `${letter(index)} ${name}`;
    const width = name.length + (color ? 3 : 2);
    if (length + 3 + width > columns) {
      lines.push(`  ${entry}`);
      length = 2 + width;
    } else {
      lines[lines.length - 1] += `   ${entry}`;
      length += 3 + width;
    }
  });
  return lines;
}

function letter(index: number): string {
  return LETTERS[index % LETTERS.length];
}
