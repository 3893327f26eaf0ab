import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { type ListedFlow, type ListedListener, ListedSockets } from '../../io/listed-sockets.js';
import type { SocketLookup } from '../../path/sockets.js';
import { parseIpv4, parseIpv6 } from '../../table/address.js';
import { TableError } from '../../table/errors.js';
import { ConformanceError } from './format.js';
import { portNumber, shapeProblems } from './shape.js';

/** The sockets that existed when the vectors were made. */

/** The same sockets twice: an ACK that finds a listener completes a handshake by SYN cookie, or does not. */
export interface ClsRedirectSockets {
  readonly cookiesValid: SocketLookup;
  readonly cookiesInvalid: SocketLookup;
}

interface Endpoint {
  /** null for every address. */
  readonly address: string | null;
  readonly port: number;
}

/** `127.0.0.1:80`, `[::1]:80`, `[::]:80 (dual stack)`, `*:80`: what stands in parentheses is for people. */
const endpoint = z.string().transform((text, context): Endpoint => {
  const match = /^\s*(?:\[([^\]]*)\]|(.*)):(\d{1,5})\s*(?:\(.*\)\s*)?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? Number.NaN);
  if (port <= 65_535 && (address === '*' || isAddress(address))) {
    return { address: isEveryAddress(address) ? null : address, port };
  }
  context.addIssue({ code: 'custom', message: 'expected ADDRESS:PORT like 127.0.0.1:80 or [::1]:80' });
  return z.NEVER;
});

const address = z
  .string()
  .transform((text) => text.trim().replace(/^\[(.*)\]$/, '$1'))
  .refine(isAddress, { error: 'expected an IPv4 or IPv6 address' });

const tuple = z
  .object({
    proto: z
      .string()
      .toLowerCase()
      .pipe(z.enum(['tcp', 'udp'])),
    src: address,
    sport: portNumber,
    dst: address,
    dport: portNumber,
  })
  .refine(({ src, dst }) => isIPv6(src) === isIPv6(dst), { error: 'expected two addresses of one family' });

const shape = z.object({
  tcp_listen: z.array(endpoint).default([]),
  udp_unconnected: z.array(endpoint).default([]),
  /** The client's side is the source. */
  established_tuples_as_seen_by_packet: z.array(tuple).default([]),
});

/** @throws ConformanceError: with other sockets than those that were there, no vector would mean anything */
export function readSockets(section: unknown): ClsRedirectSockets {
  const parsed = shape.safeParse(section ?? {});
  if (!parsed.success) {
    const problems = shapeProblems(parsed.error, section).map((problem) => `sockets.${problem}`);
    throw new ConformanceError(`cls-redirect: ${problems.slice(0, 5).join('; ')}`);
  }
  const { tcp_listen, udp_unconnected, established_tuples_as_seen_by_packet: tuples } = parsed.data;
  const flows = tuples.map(
    ({ proto, src, sport, dst, dport }): ListedFlow => ({
      protocol: proto,
      local: dst,
      localPort: dport,
      remote: src,
      remotePort: sport,
    }),
  );
  const make = (cookies: boolean): SocketLookup => {
    const sockets = new ListedSockets();
    for (const flow of flows) sockets.add(flow);
    for (const listener of tcp_listen) sockets.listen(listenerOf('tcp', listener, cookies));
    for (const listener of udp_unconnected) sockets.listen(listenerOf('udp', listener, false));
    return sockets;
  };
  return { cookiesValid: make(true), cookiesInvalid: make(false) };
}

function listenerOf(protocol: 'tcp' | 'udp', { address, port }: Endpoint, cookies: boolean): ListedListener {
  return address === null ? { protocol, port, cookies } : { protocol, address, port, cookies };
}

/** `[::]` takes IPv4 too, unless told otherwise (Linux, `net.ipv6.bindv6only`). */
function isEveryAddress(text: string): boolean {
  if (text === '*' || text === '0.0.0.0') return true;
  return text.includes(':') && parseIpv6(text).every((word) => word === 0);
}

function isAddress(text: string): boolean {
  try {
    if (text.includes(':')) parseIpv6(text);
    else parseIpv4(text);
    return true;
  } catch (error) {
    if (error instanceof TableError) return false;
    throw error;
  }
}
