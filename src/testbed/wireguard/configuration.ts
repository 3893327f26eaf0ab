import { vip } from '../addresses.js';
import type { KeyPair } from './keys.js';
import { TUNNEL_PREFIX, tunnelAddress, WIREGUARD_PORT } from './plan.js';

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

/** The one peer of a client: the VIP, whoever answers there. */
export function clientConfiguration(client: KeyPair, serverPublicKey: string, listenPort: number): string {
  return (
    `[Interface]\nPrivateKey = ${client.privateKey}\nListenPort = ${listenPort}\n` +
    `[Peer]\nPublicKey = ${serverPublicKey}\nEndpoint = ${vip(1, 4)}:${WIREGUARD_PORT}\n` +
    `AllowedIPs = ${TUNNEL_PREFIX[4]}, ${TUNNEL_PREFIX[6]}\nPersistentKeepalive = ${KEEPALIVE}\n`
  );
}
