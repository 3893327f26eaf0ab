import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams } from 'echarts';
import { clampTo, type RangeAxis, type RangeChart, type RangeRow, rangeAxis } from './ranges.js';
import { BAD, frame, GOOD, GRID, INK, render, SOFT_INK, top } from './svg.js';

/** A {@link RangeChart} as SVG: as high as it has rows. */

const ROW_HEIGHT = 20;
const WIDTH = 1080;
const BELOW = 44;
/** Room for a character of the labels on both sides, in pixels. */
const CHARACTER = 6.4;

export async function rangeChartSvg(chart: RangeChart): Promise<string> {
  const axis = rangeAxis(chart);
  const { rows } = chart;
  const above = top({ ...chart, yName: '' }, false);
  const longest = (texts: readonly string[]) =>
    12 + CHARACTER * Math.max(...texts.map((text) => text.length));
  const height = above + ROW_HEIGHT * rows.length + BELOW;
  const side = { type: 'category', inverse: true, axisTick: { show: false }, axisLine: { show: false } };
  return render({ width: WIDTH, height }, chart.title, {
    ...frame({ ...chart, yName: '' }),
    grid: {
      left: longest(rows.map(({ name }) => name)),
      right: longest(rows.map(({ text }) => text)),
      top: above,
      bottom: BELOW,
    },
    xAxis: {
      type: 'log',
      logBase: 2,
      min: axis.low,
      max: axis.high,
      name: chart.xName,
      nameLocation: 'middle',
      nameGap: 24,
      nameTextStyle: { color: SOFT_INK, fontSize: 12 },
      axisLine: { show: true, onZero: false, lineStyle: { color: SOFT_INK } },
      axisLabel: {
        color: SOFT_INK,
        fontSize: 12,
        customValues: axis.ticks,
        formatter: (tick: number) => `${tick}×`,
      },
      axisTick: { customValues: axis.ticks },
      splitLine: { show: false },
    },
    yAxis: [
      {
        ...side,
        data: rows.map(({ name }) => name),
        axisLabel: { color: INK, fontSize: 12, interval: 0 },
        splitLine: { show: true, lineStyle: { color: GRID } },
      },
      {
        ...side,
        position: 'right',
        data: rows.map(({ text }) => text),
        axisLabel: { color: SOFT_INK, fontSize: 11, interval: 0 },
      },
    ],
    series: [
      {
        type: 'custom',
        data: rows.map((row, index) => [row.range?.middle ?? 1, index]),
        renderItem: (params: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) =>
          drawRow(rows[params.dataIndex], params.dataIndex, axis, api),
        markLine: {
          symbol: 'none',
          silent: true,
          lineStyle: { color: INK, type: 'solid', width: 1 },
          label: {
            show: true,
            position: 'start',
            distance: 4,
            formatter: 'the bar',
            color: INK,
            fontSize: 11,
          },
          data: [{ xAxis: 1 }],
        },
      },
    ],
  });
}

function drawRow({ range, good }: RangeRow, index: number, axis: RangeAxis, api: CustomSeriesRenderItemAPI) {
  if (range === undefined) return { type: 'group' as const, children: [] };
  const at = (value: number) => api.coord([clampTo(axis, value), index]);
  const [[from, y], [middle], [to]] = [at(range.low), at(range.middle), at(range.high)];
  const color = good ? GOOD : BAD;
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: 'line' as const,
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, lineWidth: 2 },
  });
  return {
    type: 'group' as const,
    children: [
      line(from, y, to, y),
      line(from, y - 4, from, y + 4),
      line(to, y - 4, to, y + 4),
      { type: 'circle' as const, shape: { cx: middle, cy: y, r: 4.5 }, style: { fill: color } },
    ],
  };
}
