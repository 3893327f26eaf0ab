import { type SpawnSyncReturns, spawnSync } from 'node:child_process';

const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];

/**
 * Runs a command inside private mount, network and pid namespaces with an empty /run: whatever it makes or starts is
 * gone when it ends, however it ends, and it ends when this process is killed.
 */
export function spawnEnclosed(command: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  const inside = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && "$@" & wait "$!"';
  return spawnSync(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', ...NAMESPACES, '--propagation', 'private'],
      ...['--', 'sh', '-c', inside, 'sh', ...command],
    ],
    { ...(cwd === undefined ? {} : { cwd }), encoding: 'utf8', timeout: 170_000, killSignal: 'SIGKILL' },
  );
}

/**
 * Runs a fixture (plain JavaScript on the built `dist/`) that way.
 * @returns the JSON value it printed last
 * @throws Error with all it said when it failed
 */
export function runEnclosed<T>(fixture: URL, ...args: string[]): T {
  const run = spawnEnclosed([process.execPath, fixture.pathname, ...args]);
  if (run.status !== 0) throw new Error(`${fixture.pathname} failed:\n${run.stdout}${run.stderr}`);
  const last = run.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as T;
}
