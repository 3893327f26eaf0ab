import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from './report.js';
import { pair, spreadOf } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * Bulk TCP through a VIP: with offload, without, through the native loop, and by kernel forwarding without any load
 * balancer, in turn; see tcp-child.ts.
 */

const CHILD = fileURLToPath(new URL('./tcp-child.js', import.meta.url));
const MIN_RATIO = 3;

export type TcpMode = 'offload' | 'plain' | 'native' | 'kernel';

/** One transfer. */
export interface TcpSample {
  /** Acknowledged, per second. */
  readonly megabits: number;
  /** Seconds of processor time that both load balancers took per gigabyte: 0 without one. */
  readonly processor: number;
}

export interface TcpOptions {
  readonly programs: NativePrograms;
  /** What each transfer is counted for. */
  readonly milliseconds: number;
  readonly rounds: number;
  /** MTU of the underlay in bytes, and connections at once. */
  readonly cases: readonly { readonly mtu: number; readonly flows: number }[];
}

export interface TcpResult {
  readonly mtu: number;
  readonly flows: number;
  readonly rounds: readonly Readonly<Record<TcpMode, TcpSample>>[];
}

/** @throws when the child fails; it says why on standard error */
export function benchTcp(programs: NativePrograms, quick: boolean): Row[] {
  const all = [9000, 1500].flatMap((mtu) => [1, 8].map((flows) => ({ mtu, flows })));
  const options: TcpOptions = {
    programs,
    milliseconds: quick ? 500 : 1500,
    rounds: quick ? 1 : 3,
    cases: quick ? all.slice(0, 2) : all,
  };
  const command = ['-n', '-m', process.execPath, CHILD, JSON.stringify(options)];
  const child = spawnSync('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (child.status !== 0) throw new Error('the TCP benchmark failed');
  return (JSON.parse(child.stdout) as TcpResult[]).map(rowOf);
}

function rowOf({ mtu, flows, rounds }: TcpResult): Row {
  const rates = (mode: TcpMode) => rounds.map((samples) => samples[mode].megabits);
  const paired = pair(rates('native'), rates('offload'));
  const middle = (numbers: readonly number[]) => spreadOf(numbers).median.toFixed(2);
  const toPlain = middle(rounds.map(({ offload, plain }) => offload.megabits / plain.megabits));
  const toKernel = middle(rounds.map(({ offload, kernel }) => offload.megabits / kernel.megabits));
  const processor = (mode: TcpMode) => middle(rounds.map((samples) => samples[mode].processor));
  return {
    name: `tcp-${mtu}-${flows === 1 ? 'one-flow' : `${flows}-flows`}`,
    unit: 'Mbit/s',
    ...paired,
    bar: `ratio >= ${MIN_RATIO}`,
    pass: paired.ratio.median >= MIN_RATIO,
    notes: [
      `${toPlain} of the same without offload, ${toKernel} of kernel forwarding`,
      `processor time per gigabyte, both nodes: ${processor('offload')} s, without offload ${processor('plain')} s, C ${processor('native')} s`,
    ],
  };
}
