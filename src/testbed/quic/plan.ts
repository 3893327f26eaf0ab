import { type Family, vip } from '../addresses.js';

/**
 * What the QUIC servers listen on. Every service is there twice, on ports of two trafficsets: one is balanced by
 * connection ID, the other by 4-tuple alone, so that the same thing can happen to both at once.
 */

export const WAYS = ['connection id', '4-tuple'] as const;
/** How the load balancer finds the server of a QUIC packet. */
export type Way = (typeof WAYS)[number];

/** A question with a short answer; or an upload that takes its time, until the servers are told to hurry. */
export type Exchange = 'question' | 'upload';

export const QUIC_PORTS: Readonly<Record<Way, Readonly<Record<Exchange, number>>>> = {
  'connection id': { question: 443, upload: 8443 },
  '4-tuple': { question: 444, upload: 8444 },
};

export const ALL_PORTS: readonly number[] = WAYS.flatMap((way) => Object.values(QUIC_PORTS[way]));

export const UPLOAD_PORTS: readonly number[] = WAYS.map((way) => QUIC_PORTS[way].upload);

/** Octets of every response. */
export const RESPONSE_LENGTH = 3000;
/**
 * Octets of every upload: about a minute at the slow pace (see narrow-link.ts), which is longer than what happens
 * meanwhile may take. With what HTTP/3 adds it stays below half of {@link WINDOW}.
 */
export const UPLOAD_LENGTH = 1_000_000;
/**
 * Octets that a client may send. quiche gives more credit when half is used, and loses it when its packet is lost in a
 * change of path: no upload uses half.
 */
export const WINDOW = 1 << 21;

const FAMILIES: readonly Family[] = [4, 6];

/** VIPs that the servers are bound to: a reply must come from the address that was asked. */
export const QUIC_VIPS: readonly string[] = FAMILIES.map((family) => vip(1, family));

/** A client's connection ID, which the testbed makes from a number that is never used twice. */
export function clientIdOf(seed: number): string {
  return `c11e47${seed.toString(16).padStart(10, '0')}`;
}

/** The number that {@link clientIdOf} took: the seed of what goes over the connection. 0 for the ID of any other client. */
export function seedOf(clientId: string): number {
  return /^c11e47[0-9a-f]{10}$/.test(clientId) ? Number.parseInt(clientId.slice(6), 16) : 0;
}
