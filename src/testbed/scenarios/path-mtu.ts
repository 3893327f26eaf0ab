import { clientLink, type Family } from '../addresses.js';
import { runScript } from '../run.js';

/** The MTU of the path to a client as the kernel of a server (by name) knows it, in bytes; undefined when it does not. */
export async function pathMtu(server: string, client: number, family: Family): Promise<number | undefined> {
  const address = clientLink(client).own[family];
  const { stdout } = await runScript(server, `ip -oneline route get ${address}`);
  const mtu = /\bmtu (\d+)/.exec(stdout)?.[1];
  return mtu === undefined ? undefined : Number(mtu);
}
