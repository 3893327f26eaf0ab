import type { EChartsCoreOption } from 'echarts/core';
import type { BarChart, ChartTexts, LineChart, Series } from './chart.js';

/**
 * Charts as SVG, drawn by echarts on the server side. The same chart gives the same bytes: nothing moves, and ids that
 * count the charts of a process are made plain.
 */

export interface SvgSize {
  /** In pixels. */
  readonly width: number;
  readonly height: number;
}

const DEFAULT_SIZE: SvgSize = { width: 880, height: 440 };

/** Okabe and Ito's palette, in an order in which neighbours differ for colour-blind people too, without its yellow. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const QUIET = '#b4b9be';
export const INK = '#1c2126';
export const SOFT_INK = '#5b646d';
export const GRID = '#e7eaed';
/** What holds and what does not: told apart by colour-blind people too. */
export const GOOD = '#0072b2';
export const BAD = '#d55e00';
/** Without quotes: echarts would put them unescaped into an attribute. */
const FONT = 'Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif';
/** With more lines than this, labels at their ends would hide one another. */
const MOST_LABELLED = 8;

export async function lineChartSvg(chart: LineChart, size: SvgSize = DEFAULT_SIZE): Promise<string> {
  const grouped = chart.series.some(({ group }) => group !== undefined);
  const labelled = !grouped && chart.series.length > 1 && chart.series.length <= MOST_LABELLED;
  const names = [...new Set(chart.series.map((series) => series.group ?? series.name))];
  const xs = chart.series.flatMap(({ points }) => points.map(([x]) => x));
  const right = labelled ? 24 + 7 * Math.max(...names.map((name) => name.length)) : 32;
  return render(size, chart.title, {
    ...frame(chart),
    grid: { left: 20, right, top: top(chart, !labelled && names.length > 1), bottom: 42, containLabel: true },
    legend: { ...legend(chart), show: !labelled && names.length > 1, data: names },
    xAxis: {
      ...axis(chart.xName),
      type: 'value',
      min: chart.xMin ?? Math.min(...xs),
      max: chart.xMax ?? Math.max(...xs),
      ...(chart.xStep === undefined ? {} : { interval: chart.xStep }),
      nameLocation: 'middle',
      nameGap: 30,
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: SOFT_INK } },
      axisLabel: { color: SOFT_INK, fontSize: 12, ...formatter(chart.formatX), hideOverlap: true },
    },
    yAxis: yAxis(chart),
    series: [...chart.series]
      .sort((a, b) => Number(b.quiet ?? false) - Number(a.quiet ?? false))
      .map((series, index) => ({
        type: 'line',
        name: series.group ?? series.name,
        data: series.points,
        showSymbol: false,
        // Without this, echarts would thin out nothing anyway; with it, long series stay small files.
        sampling: 'lttb',
        color: lineColor(series, names),
        lineStyle: { width: grouped && chart.series.length > 20 ? 0.8 : series.quiet ? 1.6 : 2 },
        z: series.quiet ? 2 : 3,
        endLabel: { show: labelled, formatter: '{a}', color: lineColor(series, names), fontSize: 12 },
        labelLayout: { moveOverlap: 'shiftY' },
        ...(index === 0 ? decorations(chart) : {}),
      })),
  });
}

export async function barChartSvg(chart: BarChart, size: SvgSize = DEFAULT_SIZE): Promise<string> {
  const format = chart.formatY ?? ((y: number) => String(y));
  return render(size, chart.title, {
    ...frame(chart),
    grid: { left: 20, right: 20, top: top(chart, true), bottom: 42, containLabel: true },
    legend: { ...legend(chart), data: chart.series.map(({ name }) => name) },
    xAxis: {
      ...axis(chart.xName),
      type: 'category',
      data: chart.categories,
      nameLocation: 'middle',
      nameGap: 30,
      axisTick: { show: false },
      axisLine: { show: true, lineStyle: { color: SOFT_INK } },
      axisLabel: { color: INK, fontSize: 12, interval: 0 },
    },
    yAxis: yAxis(chart),
    series: chart.series.map(({ name, values }, index) => ({
      type: 'bar',
      name,
      color: COLORS[index % COLORS.length],
      barGap: '12%',
      barCategoryGap: '28%',
      // A logarithmic axis has no place for 0: its bar starts and ends at the foot.
      data: values.map((value) => (chart.logarithmic && value <= 0 ? 1 : value)),
      label: {
        show: true,
        position: 'top',
        distance: 3,
        fontSize: 10,
        color: SOFT_INK,
        formatter: ({ dataIndex }: { dataIndex: number }) => format(values[dataIndex]),
      },
    })),
  });
}

export function frame(chart: ChartTexts): EChartsCoreOption {
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT },
    title: {
      text: chart.title,
      subtext: chart.subtitle ?? '',
      left: 16,
      top: 12,
      itemGap: 6,
      textStyle: { color: INK, fontSize: 17, fontWeight: 600 },
      subtextStyle: { color: SOFT_INK, fontSize: 12.5, lineHeight: 17 },
    },
  };
}

/** Where the plot starts: below title, subtitle, legend and the name of the y axis. */
export function top(chart: ChartTexts, withLegend: boolean): number {
  return legendTop(chart) + (withLegend ? 24 : 0) + 26;
}

function legendTop(chart: ChartTexts): number {
  const lines = chart.subtitle === undefined ? 0 : chart.subtitle.split('\n').length;
  return 44 + 17 * lines + (lines > 0 ? 6 : 0);
}

function legend(chart: ChartTexts): object {
  return {
    left: 21,
    top: legendTop(chart),
    padding: 0,
    icon: 'roundRect',
    itemWidth: 14,
    itemHeight: 8,
    itemGap: 18,
    textStyle: { color: INK, fontSize: 12 },
  };
}

function axis(name: string): object {
  return { name, nameTextStyle: { color: SOFT_INK, fontSize: 12 } };
}

function yAxis(chart: LineChart | BarChart): object {
  return {
    ...axis(chart.yName),
    type: chart.logarithmic ? 'log' : 'value',
    ...('yMin' in chart ? { min: chart.yMin } : {}),
    ...('yMax' in chart ? { max: chart.yMax } : {}),
    nameLocation: 'end',
    nameGap: 12,
    nameTextStyle: { color: SOFT_INK, fontSize: 12, align: 'left', padding: [0, 0, 0, -28] },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: GRID } },
    axisLabel: { color: SOFT_INK, fontSize: 12, ...formatter(chart.formatY) },
  };
}

function formatter(format: ((value: number) => string) | undefined): object {
  return format === undefined ? {} : { formatter: (value: number) => format(value) };
}

function lineColor(series: Series, names: readonly string[]): string {
  if (series.quiet) return QUIET;
  return COLORS[names.indexOf(series.group ?? series.name) % COLORS.length];
}

/** Marks and the band hang on one series in echarts, whichever. */
function decorations({ marks, band }: LineChart): object {
  const label = { color: SOFT_INK, fontSize: 11 };
  return {
    ...(marks === undefined || marks.length === 0
      ? {}
      : {
          markLine: {
            symbol: 'none',
            silent: true,
            lineStyle: { color: SOFT_INK, type: 'dashed', width: 1 },
            data: marks.map(({ x, text }) => ({
              xAxis: x,
              label: { ...label, formatter: text, rotate: 0, position: 'end', distance: 4 },
            })),
          },
        }),
    ...(band === undefined
      ? {}
      : {
          markArea: {
            silent: true,
            itemStyle: { color: '#009e73', opacity: 0.1 },
            data: [
              [
                { yAxis: band.from, name: band.text, label: { ...label, position: 'insideTopLeft' } },
                { yAxis: band.to },
              ],
            ],
          },
        }),
  };
}

/** Loads echarts first: half a megabyte that only those who draw shall pay for. */
export async function render(
  { width, height }: SvgSize,
  title: string,
  option: EChartsCoreOption,
): Promise<string> {
  const [echarts, charts, components, renderers, features] = await Promise.all([
    import('echarts/core'),
    import('echarts/charts'),
    import('echarts/components'),
    import('echarts/renderers'),
    import('echarts/features'),
  ]);
  echarts.use([
    charts.LineChart,
    charts.BarChart,
    charts.CustomChart,
    components.TitleComponent,
    components.LegendComponent,
    components.GridComponent,
    components.MarkLineComponent,
    components.MarkAreaComponent,
    features.LabelLayout,
    features.LegacyGridContainLabel,
    renderers.SVGRenderer,
  ]);
  const drawing = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    drawing.setOption(option);
    return `${asPicture(drawing.renderToSVGString(), title)}\n`;
  } finally {
    drawing.dispose();
  }
}

/** A picture has no pointer to hover; and echarts names things `zr3-c0`, where 3 is the third chart of the process. */
function asPicture(svg: string, title: string): string {
  const text = title.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  return (
    svg
      // What screen readers say.
      .replace('>\n', () => `>\n<title>${text}</title>\n`)
      .replace(/<style\b.*?<\/style>\s*/s, '')
      .replace(/ class="zr\d+-cls-\d+"/g, '')
      .replace(/ pointer-events="visible"/g, '')
      .replace(/\bzr\d+-/g, 'zr-')
  );
}
