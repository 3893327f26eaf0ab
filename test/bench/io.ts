import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Row } from './report.js';
import type { NativePrograms } from './twin.js';

/** The data plane over a real TUN and real sockets, in network and mount namespaces of its own: see io-child.ts. */

const CHILD = fileURLToPath(new URL('./io-child.js', import.meta.url));

export interface IoOptions {
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** Length of one side of a round. */
  readonly milliseconds: number;
}

/** What is missing to run, in words; undefined when nothing is. */
export function missingForIo(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'needs /dev/net/tun';
  }
  if (spawnSync('unshare', ['-n', '-m', 'true']).status !== 0) return 'needs to make network namespaces';
  if (availableParallelism() < 2) return 'needs two cores: one for the packet generator';
  return undefined;
}

/** @throws when the child fails; it says why on standard error */
export function benchIo(options: IoOptions): Row[] {
  // Core 0 for the data plane, core 1 for the generator: neither takes the other's time, and others take little.
  const pinned = ['nice', '-n', '-10', 'taskset', '-c', '0', process.execPath, CHILD];
  const command = ['-n', '-m', ...pinned, JSON.stringify(options)];
  const child = spawnSync('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (child.status !== 0) throw new Error('the I/O benchmark failed');
  return JSON.parse(child.stdout) as Row[];
}
