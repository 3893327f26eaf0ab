import { ROUTER } from '../addresses.js';
import type { Network } from '../network.js';
import { runScript } from '../run.js';
import type { HeldBy } from './connections.js';

/** At which server the router lets each connection enter: its own answer to a route lookup, in the order given. */
export async function entriesOf(network: Network, connections: readonly HeldBy[]): Promise<string[]> {
  const lookups = connections.map(
    ({ client, local, remote }) =>
      `route get ${remote.address} from ${local.address} iif ${network.entranceOf(client)} ` +
      `ipproto tcp sport ${local.port} dport ${remote.port}\n`,
  );
  const { stdout } = await runScript(ROUTER, `ip -oneline -batch - <<'END'\n${lookups.join('')}END\n`);
  return stdout
    .trim()
    .split('\n')
    .map((line) => / dev (\S+)/.exec(line)?.[1] ?? '');
}
