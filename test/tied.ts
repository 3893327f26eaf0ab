/**
 * A command for `spawn` that ends with the test process, however that ends: killed, it cannot stop what it started.
 */
export function tied(command: string, args: readonly string[] = []): [string, string[]] {
  return ['setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]];
}
