import { spawnSync } from 'node:child_process';

/**
 * Runs a program of the benchmarks in network and mount namespaces of its own, with its options as JSON.
 * @param name what failed, when it fails: it says why on standard error
 * @returns what it printed as JSON
 * @throws when it fails
 */
export function runEnclosed<Result>(program: string, options: unknown, name: string): Result {
  const command = ['-n', '-m', process.execPath, program, JSON.stringify(options)];
  const child = spawnSync('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`${name} failed`);
  return JSON.parse(child.stdout) as Result;
}
