import type { ChartTexts } from './chart.js';

/**
 * Measurements against what they must reach, on one logarithmic axis: 1 is the bar itself, what is right of it is
 * better. Each row is a line from its worst to its best round, with a dot at the median.
 */
export interface RangeChart extends Omit<ChartTexts, 'yName'> {
  readonly rows: readonly RangeRow[];
}

export interface RangeRow {
  readonly name: string;
  /** Times better than the bar, all above 0; absent where there is no bar, and nothing is drawn then. */
  readonly range?: { readonly low: number; readonly middle: number; readonly high: number };
  readonly good: boolean;
  /** The numbers, as people read them. */
  readonly text: string;
}

/** What is further from the bar is drawn at the edge: how much further says the text. */
const WORST = 0.25;
const BEST = 10;
/** The axis reaches at least from here to there, so that charts of different runs look alike. */
const LEAST_SPAN = [0.5, 4] as const;

export interface RangeAxis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

export function rangeAxis({ rows }: RangeChart): RangeAxis {
  const ranges = rows.flatMap(({ range }) => (range === undefined ? [] : [range]));
  const low = Math.max(WORST, Math.min(LEAST_SPAN[0], ...ranges.map((range) => range.low)));
  const high = Math.min(BEST, Math.max(LEAST_SPAN[1], ...ranges.map((range) => range.high)));
  return { low, high, ticks: [0.25, 0.5, 1, 2, 4, 8].filter((tick) => tick >= low && tick <= high) };
}

/** Into the axis: what lies beyond is at its edge. */
export function clampTo({ low, high }: RangeAxis, value: number): number {
  return Math.max(low, Math.min(high, value));
}
