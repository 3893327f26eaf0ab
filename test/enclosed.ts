import { spawnSync } from 'node:child_process';

/**
 * Runs a fixture (plain JavaScript on the built `dist/`) inside private mount, network and pid namespaces with an
 * empty /run: whatever it makes or starts is gone when it ends, however it ends.
 * @returns the JSON value it printed last
 * @throws Error with all it said when it failed
 */
export function runEnclosed<T>(fixture: URL, ...args: string[]): T {
  const inside = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && "$@" & wait "$!"';
  const run = spawnSync(
    'unshare',
    [
      ...[
        '--mount',
        '--net',
        '--pid',
        '--fork',
        '--kill-child=KILL',
        '--mount-proc',
        '--propagation',
        'private',
      ],
      ...['--', 'sh', '-c', inside, 'sh', process.execPath, fixture.pathname, ...args],
    ],
    { encoding: 'utf8', timeout: 100_000, killSignal: 'SIGKILL' },
  );
  if (run.status !== 0) throw new Error(`${fixture.pathname} failed:\n${run.stdout}${run.stderr}`);
  const last = run.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as T;
}
