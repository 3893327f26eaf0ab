import { fileURLToPath } from 'node:url';
import { runEnclosed } from './enclosed.js';
import type { Row } from './report.js';
import type { SiteMode } from './site.js';
import { pair, spreadOf } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * Bulk TCP through a VIP: with offload, without, through the native loop, and by kernel forwarding without any load
 * balancer, in turn; see tcp-child.ts.
 */

const CHILD = fileURLToPath(new URL('./tcp-child.js', import.meta.url));
const MIN_RATIO = 3;

/** One transfer. */
export interface TcpSample {
  /** Acknowledged, per second. */
  readonly megabits: number;
  /** Seconds of processor time that both load balancers took per gigabyte: 0 without one. */
  readonly processor: number;
  /** Seconds of processor time per gigabyte of the whole machine: client, server and what is in between. */
  readonly whole: number;
}

export interface TcpOptions {
  readonly programs: NativePrograms;
  /** What each transfer is counted for. */
  readonly seconds: number;
  /**
   * Seconds that a TypeScript data plane carries before its first transfer counts: the optimising compiler takes a
   * third of a core for as long.
   */
  readonly warmUp: number;
  readonly rounds: number;
  /** MTUs of the underlay, in bytes. */
  readonly mtus: readonly number[];
  /** Connections at once. */
  readonly flows: readonly number[];
}

export interface TcpResult {
  readonly mtu: number;
  readonly flows: number;
  readonly rounds: readonly Readonly<Record<SiteMode, TcpSample>>[];
}

/** @throws when the child fails; it says why on standard error */
export function benchTcp(programs: NativePrograms, quick: boolean): Row[] {
  const options: TcpOptions = {
    programs,
    seconds: quick ? 0.3 : 0.4,
    warmUp: quick ? 2 : 4,
    rounds: quick ? 1 : 5,
    mtus: quick ? [9000] : [9000, 1500],
    flows: [1, 8],
  };
  return runEnclosed<TcpResult[]>(CHILD, options, 'the TCP benchmark').flatMap((result) => [
    rowOf(result),
    processorRow(result),
  ]);
}

function rowOf({ mtu, flows, rounds }: TcpResult): Row {
  const rates = (mode: SiteMode) => rounds.map((samples) => samples[mode].megabits);
  const paired = pair(rates('native'), rates('offload'));
  const middle = (numbers: readonly number[]) => spreadOf(numbers).median.toFixed(2);
  const toPlain = middle(rounds.map(({ offload, plain }) => offload.megabits / plain.megabits));
  const toKernel = middle(rounds.map(({ offload, kernel }) => offload.megabits / kernel.megabits));
  const processor = (mode: SiteMode) => middle(rounds.map((samples) => samples[mode].processor));
  return {
    name: `tcp-${mtu}-${flowsIn(flows)}`,
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

/**
 * What the load balancer adds to a transfer, in processor time, to what the transfer takes by kernel forwarding. The
 * whole machine's time, because the kernel books work for the one process on whichever is running.
 */
function processorRow({ mtu, flows, rounds }: TcpResult): Row {
  const alone = rounds.map(({ kernel }) => kernel.whole);
  const added = rounds.map(({ offload, kernel }) => offload.whole - kernel.whole);
  return {
    name: `tcp-processor-${mtu}-${flowsIn(flows)}`,
    unit: 's per GB',
    ...pair(alone, added),
    notes: ['the first column is the transfer without load balancer, the second what the load balancer adds'],
  };
}

function flowsIn(flows: number): string {
  return flows === 1 ? 'one-flow' : `${flows}-flows`;
}
