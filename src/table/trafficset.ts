import type { DissectorSpec } from '../flow/dissector.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import type { Prefix } from './address.js';
import type { BalanceConfig } from './control.js';
import { TableError } from './errors.js';

/**
 * A trafficset: the traffic of one service, as VIP ranges x protocol x ports, and how it is to be treated.
 */

/**
 * - `tcp`: TCP; a SYN belongs to the first hop, everything else to whoever has the socket.
 * - `udp-flow`: UDP with flows; the roles are switched, new flows belong to the second hop.
 * - `request-response`: UDP without flows; buckets have one slot.
 * - `udp-session`: UDP or ESP with sessions that a dissector names, whatever their addresses and ports; no socket decides.
 *   Without a set of sessions buckets have one slot; with one the roles are switched, as for `udp-flow`.
 */
export type TrafficsetKind = 'tcp' | 'udp-flow' | 'request-response' | 'udp-session';

export const TRAFFICSET_KINDS: readonly TrafficsetKind[] = [
  'tcp',
  'udp-flow',
  'request-response',
  'udp-session',
];

/** Names of the IP protocols that a trafficset can have. */
export const PROTOCOL_NUMBERS = { tcp: IP_PROTOCOL_TCP, udp: IP_PROTOCOL_UDP, esp: IP_PROTOCOL_ESP } as const;

/**
 * Whether fragments of datagrams go where their first one goes, or are dropped. Nothing is reassembled: see
 * `path/fragments.ts`.
 */
export type FragmentRule = 'follow' | 'drop';

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
  /** At least one; they do not matter to ESP, which has none. */
  readonly ports: readonly PortRange[];
  /** IP protocol numbers; absent: the one of the kind. */
  readonly protocols?: readonly number[];
  readonly dissector: DissectorSpec;
  /** Absent: {@link fragmentRuleOf} the kind. */
  readonly fragments?: FragmentRule;
  /**
   * `udp-session` only: the file with the sessions that the service of a server has, `{name}` standing for the server's
   * name. Absent: no such file, and no second hop.
   */
  readonly sessions?: string;
  /** Path of the forwarding-table file; where tables come from a store, of a node's copy. */
  readonly table: string;
  /** For the conductor: how it is balanced. */
  readonly balance?: BalanceConfig;
}

/** Transport protocol number of a kind. */
export function protocolOf(kind: TrafficsetKind): number {
  return kind === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
}

export function protocolsOf({
  kind,
  protocols,
}: Pick<TrafficsetConfig, 'kind' | 'protocols'>): readonly number[] {
  return protocols ?? [protocolOf(kind)];
}

/** TCP finds its path MTU and sends no fragments; where some come, they are somebody's attempt at something. */
export function fragmentRuleOf({
  kind,
  fragments,
}: Pick<TrafficsetConfig, 'kind' | 'fragments'>): FragmentRule {
  return fragments ?? (kind === 'tcp' ? 'drop' : 'follow');
}

/** Whether packets of a trafficset can go on from the first hop to the second. */
export function hasSecondHop({ kind, sessions }: Pick<TrafficsetConfig, 'kind' | 'sessions'>): boolean {
  return kind === 'tcp' || kind === 'udp-flow' || (kind === 'udp-session' && sessions !== undefined);
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
