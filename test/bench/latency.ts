import { fileURLToPath } from 'node:url';
import { runEnclosed } from './enclosed.js';
import type { Row } from './report.js';
import { pair, type Spread, spreadOf } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * What the way through both nodes adds to a small request: one connection, one request at a time, in turn through the
 * nodes with offload, without, and by kernel forwarding; see latency-child.ts.
 */

const CHILD = fileURLToPath(new URL('./latency-child.js', import.meta.url));
/** Microseconds that the median may grow by. */
const MOST_ADDED = 150;

/** Of one turn, in microseconds. */
export interface LatencySample {
  readonly p50: number;
  readonly p99: number;
}

export type LatencyRound = Readonly<Record<'kernel' | 'plain' | 'offload', LatencySample>>;

export interface LatencyOptions {
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** Of one turn. */
  readonly seconds: number;
}

/** @throws when the child fails; it says why on standard error */
export function benchLatency(programs: NativePrograms, quick: boolean): Row[] {
  const options: LatencyOptions = { programs, rounds: quick ? 3 : 9, seconds: 0.25 };
  const rounds = runEnclosed<LatencyRound[]>(CHILD, options, 'the latency benchmark');
  return (['offload', 'plain'] as const).flatMap((mode) =>
    (['p50', 'p99'] as const).map((percentile) => rowOf(rounds, mode, percentile)),
  );
}

function rowOf(rounds: readonly LatencyRound[], mode: 'plain' | 'offload', percentile: 'p50' | 'p99'): Row {
  const kernel = rounds.map((round) => round.kernel[percentile]);
  const through = rounds.map((round) => round[mode][percentile]);
  const added = spreadOf(through.map((value, round) => value - kernel[round]));
  const barred = percentile === 'p50';
  const { native, js } = pair(kernel, through);
  return {
    name: `latency-${mode === 'offload' ? '' : 'no-offload-'}${percentile}-added`,
    unit: 'us',
    js: added,
    ...(barred ? { bar: `median < ${MOST_ADDED} us`, pass: added.median < MOST_ADDED } : {}),
    notes: [`${text(js)} us through two nodes, ${text(native)} us by kernel forwarding`],
  };
}

function text({ min, median, max }: Spread): string {
  return [min, median, max].map((value) => value.toFixed(0)).join(' / ');
}
