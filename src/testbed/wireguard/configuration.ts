import type { Family } from '../addresses.js';
import type { KeyPair } from './keys.js';
import { TUNNEL_PREFIX, tunnelAddress, vipEndpoint, WIREGUARD_PORT } from './plan.js';

/** Configuration of both ends as `wg setconf` takes it. */

/** One of several servers that are the same to clients: same key, same peers. */
export function serverConfiguration(server: KeyPair, clients: ReadonlyMap<number, KeyPair>): string {
  const peers = [...clients].map(([client, { publicKey }]) => {
    const own = tunnelAddress(client);
    return `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = ${own[4]}/32, ${own[6]}/128\n`;
  });
  return `[Interface]\nPrivateKey = ${server.privateKey}\nListenPort = ${WIREGUARD_PORT}\n${peers.join('')}`;
}

/** Seconds. A download alone leaves its client silent when the way back to it is lost: this makes it speak. */
const KEEPALIVE = 1;

/** Where a client's packets come from and go to, outside the tunnel. */
export interface ClientPath {
  readonly family: Family;
  /** The client's own. */
  readonly port: number;
}

/**
 * The one peer of a client is the VIP, whoever answers there.
 * @param serverPublicKey null: no peer at all
 */
export function clientConfiguration(
  client: KeyPair,
  serverPublicKey: string | null,
  { family, port }: ClientPath,
): string {
  const own = `[Interface]\nPrivateKey = ${client.privateKey}\nListenPort = ${port}\n`;
  if (serverPublicKey === null) return own;
  return (
    `${own}[Peer]\nPublicKey = ${serverPublicKey}\nEndpoint = ${vipEndpoint(family)}\n` +
    `AllowedIPs = ${TUNNEL_PREFIX[4]}, ${TUNNEL_PREFIX[6]}\nPersistentKeepalive = ${KEEPALIVE}\n`
  );
}
