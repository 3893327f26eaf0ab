import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from './report.js';
import { pair } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * What one setting costs a node of its pace: the node's loop on a real TUN and real sockets, flooded, once so and once
 * otherwise, in turn; see pace-child.ts.
 */

const CHILD = fileURLToPath(new URL('./pace-child.js', import.meta.url));

export type PaceCase = 'scale-tun' | 'lookups';

const LEAST: Readonly<Record<PaceCase, number>> = { 'scale-tun': 0.7, lookups: 0.8 };

/** Share of the turns. */
const MOST_NOT_FLOODED = 0.05;

export interface PaceOptions {
  readonly which: PaceCase;
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** Of one turn. */
  readonly milliseconds: number;
}

export interface PaceResult {
  /** Thousand packets per second of each turn: without what is measured, and with it. */
  readonly without: readonly number[];
  readonly with: readonly number[];
  /** Turns in which the flooded queue did not overflow: there the generator set the pace. */
  readonly notFlooded: number;
  readonly notes: readonly string[];
}

/** @throws when the child fails; it says why on standard error */
export function benchPace(options: PaceOptions): Row[] {
  // Core 0 for the data plane, core 1 for the generator: neither takes the other's time, and others take little.
  const pinned = ['nice', '-n', '-10', 'taskset', '-c', '0', process.execPath, CHILD];
  const command = ['-n', '-m', ...pinned, JSON.stringify(options)];
  const child = spawnSync('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`the benchmark ${options.which} failed`);
  const result = JSON.parse(child.stdout) as PaceResult;
  const { native, js, ratio } = pair(result.without, result.with);
  // A queue that does not overflow means that the generator set the pace, not the node. Others use this machine too.
  const flooded = result.notFlooded <= MOST_NOT_FLOODED * 2 * options.rounds;
  return [
    {
      name: options.which,
      unit: 'kpps',
      native,
      js,
      ratio,
      bar: `ratio >= ${LEAST[options.which]}`,
      pass: flooded && ratio.median >= LEAST[options.which],
      notes: [
        'the columns of C are those of the same node without what is measured',
        ...result.notes,
        ...(flooded ? [] : [`invalid: the queue did not overflow in ${result.notFlooded} turns`]),
      ],
    },
  ];
}
