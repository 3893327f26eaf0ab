import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runEnclosed } from './enclosed.js';
import { missingForIo } from './io.js';
import type { Row } from './report.js';
import { pair, spreadOf } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * New connections, each with one short HTTP request: wrk to an nginx through both nodes, in turn with the same nginx
 * reached without them; see connections-child.ts.
 */

const CHILD = fileURLToPath(new URL('./connections-child.js', import.meta.url));
const MIN_RATIO = 0.6;
const NEEDS = [
  ['wrk', 'wrk'],
  ['nginx', 'nginx-light'],
] as const;

/** Connections per second of one turn. */
export type ConnectionRound = Readonly<Record<'direct' | 'plain' | 'offload', number>>;

export interface ConnectionOptions {
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** Of one turn. */
  readonly seconds: number;
}

export function missingForConnections(): string | undefined {
  const missing = NEEDS.filter(([command]) => spawnSync('which', [command]).status !== 0);
  if (missing.length === 0) return missingForIo();
  return `needs ${missing.map(([command]) => command).join(' and ')}: apt-get install ${missing.map(([, name]) => name).join(' ')}`;
}

/** @throws when the child fails; it says why on standard error */
export function benchConnections(programs: NativePrograms, quick: boolean): Row[] {
  const options: ConnectionOptions = { programs, rounds: quick ? 1 : 5, seconds: 1 };
  const rounds = runEnclosed<ConnectionRound[]>(CHILD, options, 'the benchmark of new connections');
  const direct = rounds.map((round) => round.direct);
  return (['offload', 'plain'] as const).map((mode) => {
    const paired = pair(
      direct,
      rounds.map((round) => round[mode]),
    );
    return {
      name: mode === 'offload' ? 'connections' : 'connections-no-offload',
      unit: 'per s',
      ...paired,
      bar: `ratio >= ${MIN_RATIO}`,
      pass: paired.ratio.median >= MIN_RATIO,
      notes: [`the first column is direct to the server: ${spreadOf(direct).median.toFixed(0)} per second`],
    };
  });
}
