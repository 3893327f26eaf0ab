import { existsSync } from 'node:fs';
import { run } from '../run.js';
import type { Site } from '../site.js';

/**
 * Starts one stock WireGuard peer: Debian's wireguard-go in the foreground. It is configured with `wg`, which reaches
 * it from every network namespace through a socket in the file system.
 */
export async function startInterface(site: Site, name: string): Promise<void> {
  const daemon = site.start('wireguard', [
    // With a thread per core, two dozen of them would mostly wait for one another.
    ...['env', 'GOMAXPROCS=1', 'LOG_LEVEL=error'],
    ...['wireguard-go', '--foreground', name],
  ]);
  await daemon.until('to answer', () => existsSync(`/var/run/wireguard/${name}.sock`));
}

/** Replaces all that interfaces (by name) are told, and with that ends every session they have. */
export async function configureInterfaces(configurations: ReadonlyMap<string, string>): Promise<void> {
  // A shell's document is a pipe, which can be opened again by its name; our own pipes are sockets, which cannot.
  const commands = [...configurations].map(
    ([name, configuration]) => `wg setconf ${name} /dev/stdin <<'END'\n${configuration}END\n`,
  );
  await run('sh', ['-e'], commands.join(''));
}
