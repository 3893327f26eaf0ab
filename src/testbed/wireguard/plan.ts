import { clientName, type Family, serverName, vip } from '../addresses.js';

/**
 * Who has which address and name where tunnels are concerned. Outside the tunnels the plan of addresses.ts holds.
 */

export const WIREGUARD_PORT = 51820;

/** What every server is called inside the tunnel: clients cannot tell servers apart, and need not. */
export const TUNNEL_SERVER: Readonly<Record<Family, string>> = { 4: '10.77.0.1', 6: 'fd77::1' };
export const TUNNEL_PREFIX: Readonly<Record<Family, string>> = { 4: '10.77.0.0/16', 6: 'fd77::/64' };

/** The client's own address inside the tunnel. */
export function tunnelAddress(client: number): Readonly<Record<Family, string>> {
  return { 4: `10.77.1.${client}`, 6: `fd77::1:${client.toString(16)}` };
}

/** Unique over all namespaces: the control sockets of all WireGuard processes lie in one directory. */
export const serverInterface = (server: number): string => `wg-${serverName(server)}`;
export const clientInterface = (client: number): string => `wg-${clientName(client)}`;

/** The VIP as the endpoint of a peer, in the notation of `wg`. */
export function vipEndpoint(family: Family): string {
  return family === 4 ? `${vip(1, 4)}:${WIREGUARD_PORT}` : `[${vip(1, 6)}]:${WIREGUARD_PORT}`;
}

/** Where a client listens at first, and where after it has changed its port; stock clients take any. */
export const firstPort = (client: number): number => 20_000 + client;
export const secondPort = (client: number): number => 30_000 + client;
