import { existsSync } from 'node:fs';
import { Daemon } from '../daemon.js';
import { run } from '../run.js';
import { waitUntil } from '../wait.js';

/**
 * One stock WireGuard peer: Debian's wireguard-go in the foreground, in one of the data center's namespaces. It is
 * configured with `wg`, which reaches it from every network namespace through a socket in the file system.
 */
export async function startWireguard(options: {
  readonly namespace: string;
  readonly name: string;
  readonly log: string;
}): Promise<void> {
  const { namespace, name, log } = options;
  const daemon = Daemon.start({
    name: `wireguard-go ${name}`,
    namespace,
    // With a thread per core, two dozen of them would mostly wait for one another.
    command: ['env', 'GOMAXPROCS=1', 'LOG_LEVEL=error', 'wireguard-go', '--foreground', name],
    log,
    talks: false,
  });
  await waitUntil(`wireguard-go ${name} to answer`, () => {
    if (!daemon.running) throw daemon.failure();
    return existsSync(`/var/run/wireguard/${name}.sock`);
  });
}

/** Replaces all that the interface is told, and with that ends every session it has. */
export async function configureWireguard(name: string, configuration: string): Promise<void> {
  // A shell's document is a pipe, which can be opened again by its name; our own pipes are sockets, which cannot.
  await run('sh', ['-e'], `wg setconf ${name} /dev/stdin <<'END'\n${configuration}END\n`);
}
