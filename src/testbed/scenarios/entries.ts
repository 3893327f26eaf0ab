import { isIPv4 } from 'node:net';
import { ROUTER } from '../addresses.js';
import type { Tuple } from '../client-protocol.js';
import type { Network } from '../network.js';
import { runScript } from '../run.js';
import type { HeldBy } from './connections.js';

/**
 * At which server the router lets each IPv4 connection enter, by {@link connectionKey}: its own answer to a route
 * lookup. IPv6 connections are left out, because for them the kernel's answer is not what it does when it forwards.
 */
export async function entriesOf(
  network: Network,
  connections: readonly HeldBy[],
): Promise<ReadonlyMap<string, string>> {
  const asked = connections.filter(({ local }) => isIPv4(local.address));
  const lookups = asked.map(
    ({ client, local, remote }) =>
      `route get ${remote.address} from ${local.address} iif ${network.entranceOf(client)} ` +
      `ipproto tcp sport ${local.port} dport ${remote.port}\n`,
  );
  const { stdout } = await runScript(ROUTER, `ip -oneline -batch - <<'END'\n${lookups.join('')}END\n`);
  const servers = [...stdout.matchAll(/^.* dev (\S+)/gm)].map(([, device]) => device);
  return new Map(asked.map((connection, index) => [connectionKey(connection), servers[index]]));
}

export const connectionKey = ({ local }: Pick<Tuple, 'local'>): string => `${local.address} ${local.port}`;
