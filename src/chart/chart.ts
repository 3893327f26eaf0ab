/** What a chart shows, wherever it is drawn: as SVG (`svg.ts`) or in a terminal (`terminal.ts`). */

/** One line. Points in the order of x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /**
   * Series of one group have one colour and one entry in the legend, and no labels of their own: for many lines of a
   * few kinds, such as servers of three hardware generations.
   */
  readonly group?: string;
  /** Drawn in grey, behind the others: what the others are compared with. */
  readonly quiet?: boolean;
}

/** A moment worth a word: a vertical line with a label. */
export interface Mark {
  readonly x: number;
  readonly text: string;
}

/** A range of y that is meant to hold: a shaded band with a label. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Texts of a chart. Units belong in the names of the axes: `time in s`. */
export interface ChartTexts {
  readonly title: string;
  readonly subtitle?: string;
  readonly xName: string;
  readonly yName: string;
}

export interface LineChart extends ChartTexts {
  readonly series: readonly Series[];
  readonly marks?: readonly Mark[];
  readonly band?: Band;
  /** Ranges of the axes; what is not given comes from the data. */
  readonly xMin?: number;
  readonly xMax?: number;
  readonly yMin?: number;
  readonly yMax?: number;
  /** For y over many powers of ten; all y must be above 0 then. */
  readonly logarithmic?: boolean;
  /** A value of x, or y, as people read it; by default the plain number. */
  readonly formatX?: (x: number) => string;
  readonly formatY?: (y: number) => string;
  /** Between two labels of the x axis; by default round numbers. */
  readonly xStep?: number;
}

/** Bars in groups: one group for each category, in it one bar for each series. */
export interface BarChart extends ChartTexts {
  readonly categories: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** Values of 0 have no bar then, and the label says 0. */
  readonly logarithmic?: boolean;
  readonly formatY?: (y: number) => string;
}

/** Hours of a day as `06:00`. */
export function formatClock(hours: number): string {
  const minutes = Math.round(hours * 60);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** `12 %`, `0.4 %` */
export function formatPercent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}
