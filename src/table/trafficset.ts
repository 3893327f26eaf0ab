import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import type { Prefix } from './address.js';
import { TableError } from './errors.js';

/**
 * A trafficset: the traffic of one service, as VIP ranges x protocol x ports, and how it is to be treated.
 */

/**
 * - `tcp`: TCP; a SYN belongs to the first hop, everything else to whoever has the socket.
 * - `udp-flow`: UDP with flows; the roles are switched, new flows belong to the second hop.
 * - `request-response`: UDP without flows; buckets have one slot.
 */
export type TrafficsetKind = 'tcp' | 'udp-flow' | 'request-response';

export const TRAFFICSET_KINDS: readonly TrafficsetKind[] = ['tcp', 'udp-flow', 'request-response'];

/** Both ends belong to it; 0 to 65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const ALL_PORTS: PortRange = { first: 0, last: 65535 };

export interface TrafficsetConfig {
  readonly name: string;
  readonly kind: TrafficsetKind;
  readonly vips: readonly Prefix[];
  /** At least one. */
  readonly ports: readonly PortRange[];
  /** Name of the flow dissector. */
  readonly dissector: string;
  /** Path of the forwarding-table file. */
  readonly table: string;
}

/** Transport protocol number of a kind. */
export function protocolOf(kind: TrafficsetKind): number {
  return kind === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
}

/**
 * Reads `80`, `"80"` or `"8000-8999"`. Port 0 is refused: it is often meant to say "all", which is said by leaving
 * the ports out.
 * @throws TableError `bad-port`
 */
export function parsePortRange(value: string | number): PortRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
  const first = Number(match?.[1] ?? Number.NaN);
  const last = Number(match?.[2] ?? first);
  if (first >= 1 && first <= last && last <= 65535) return { first, last };
  throw new TableError(
    'bad-port',
    `${JSON.stringify(value)} is no port or port range: write 80 or "8000-8999", from 1 to 65535, low end first; leave ports out for all`,
  );
}

/** `80` or `8000-8999`. */
export function formatPortRange(range: PortRange): string {
  return range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`;
}

/** How many ports a range has. */
export function widthOf(range: PortRange): number {
  return range.last - range.first + 1;
}
