/**
 * Who has which address in the data center on one machine. Everything is computed from a number, so that a trace
 * can be read without a list: server 3 is 10.0.3.1 and fd00:0:0:3::1, client 2 is 198.51.100.5 and 2001:db8:c:2::1.
 *
 * VIPs and clients use the documentation prefixes (RFC 5737, RFC 3849), links inside the data center private ones.
 */

export const VIP_PREFIXES = { 4: '192.0.2.0/24', 6: '2001:db8:100::/64' } as const;
export const UNDERLAY_PREFIXES = { 4: '10.0.0.0/16', 6: 'fd00::/48' } as const;

export const ROUTER = 'r0';
/** Of the router itself: where the control plane's services listen (store, metrics, conductors). */
export const CONTROL_ADDRESS = '10.0.0.1';
export const SERVICE_PORTS = [80, 8080] as const;

/** What fits into the address plan, and on a machine. */
export const MAX_SERVERS = 32;
export const MAX_CLIENTS = 32;

export type Family = 4 | 6;

export const FAMILIES: readonly Family[] = [4, 6];

/** One end of a point-to-point link: own address and the other side's, per family. */
export interface LinkEnd {
  readonly own: Readonly<Record<Family, string>>;
  readonly peer: Readonly<Record<Family, string>>;
}

export const serverName = (server: number): string => `s${server}`;
export const clientName = (client: number): string => `c${client}`;
export const accessName = (client: number): string => `a${client}`;

/** The server's end of its link to the router; `own[4]` is its DIP. */
export function serverLink(server: number): LinkEnd {
  return {
    own: { 4: `10.0.${server}.1`, 6: `fd00:0:0:${server}::1` },
    peer: { 4: `10.0.${server}.0`, 6: `fd00:0:0:${server}::` },
  };
}

/** The client's end of its link to the router, or to its access router. */
export function clientLink(client: number): LinkEnd {
  return {
    own: { 4: `198.51.100.${2 * client + 1}`, 6: `2001:db8:c:${client}::1` },
    peer: { 4: `198.51.100.${2 * client}`, 6: `2001:db8:c:${client}::` },
  };
}

/** The access router's end of its link to the router. */
export function accessLink(client: number): LinkEnd {
  return {
    own: { 4: `10.1.${client}.1`, 6: `fd00:0:1:${client}::1` },
    peer: { 4: `10.1.${client}.0`, 6: `fd00:0:1:${client}::` },
  };
}

/** Where a client, or its NAT, is after it has moved to another place in the network. */
export const secondAddressOf = (client: number): Readonly<Record<Family, string>> => ({
  4: `203.0.113.${client}`,
  6: `2001:db8:d:${client}::1`,
});

/** Address number `n` (0 ... 9) of a NAT in the router, which is renumbered now and then. */
export const natAddress = (n: number): string => `203.0.113.${200 + n}`;

export const dipOf = (server: number): string => serverLink(server).own[4];

/** Name of the server with this DIP (host order). */
export const serverOf = (dip: number): string => serverName((dip >>> 8) & 0xff);

/** VIP number `n` (1 ...) of a family. */
export function vip(n: number, family: Family): string {
  return family === 4 ? `192.0.2.${n}` : `2001:db8:100::${n.toString(16)}`;
}
