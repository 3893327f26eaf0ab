import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../address.js';

/**
 * The forwarding table of GitHub's director (GLB), as its own tools know it: backends with a state and a health, the
 * addresses it serves ("binds"), and 65,536 rows of two backends each.
 *
 * Source: github/glb-director, `src/glb-director-cli` (what goes into a table) and `glb_fwd_config.h` (its limits).
 */

/** Rows of every table: a row is picked by 16 bits of the flow's hash. */
export const GLB_ROWS = 0x10000;
export const GLB_MAX_BACKENDS = 0x100;
export const GLB_MAX_BINDS = 0x100;

/** An IPv4 or IPv6 address in network order, 4 or 16 bytes. */
export interface GlbAddress {
  readonly version: 4 | 6;
  readonly bytes: Uint8Array;
}

/**
 * - `filling`: comes in. Ranked like an active one, but it does not take the place of a bad primary.
 * - `active`.
 * - `draining`: goes. Where it would be primary, an active secondary takes its place.
 * - `inactive`: in no row. The binary form does not tell it from `draining`.
 */
export type GlbState = 'filling' | 'active' | 'draining' | 'inactive';

export interface GlbBackend {
  readonly address: GlbAddress;
  readonly state: GlbState;
  readonly healthy: boolean;
}

/** Addresses, protocol and ports that the table is for. */
export interface GlbBind {
  readonly address: GlbAddress;
  /** 0 to 32 or 128. */
  readonly prefixLength: number;
  /** IP protocol number. */
  readonly protocol: number;
  /** Both ends belong to the range. */
  readonly firstPort: number;
  readonly lastPort: number;
}

export interface GlbTable {
  /** The secret of the flow hash, SipHash-2-4: 16 bytes. */
  readonly hashKey: Uint8Array;
  readonly backends: readonly GlbBackend[];
  readonly binds: readonly GlbBind[];
  /** Row r is `[2 * r]` primary and `[2 * r + 1]` secondary, as indices of `backends`; {@link GLB_ROWS} rows. */
  readonly rows: Uint32Array;
}

/** @throws TableError `bad-address` */
export function parseGlbAddress(text: string): GlbAddress {
  const version = text.includes(':') ? 6 : 4;
  const words = version === 6 ? parseIpv6(text) : [parseIpv4(text)];
  const bytes = new Uint8Array(4 * words.length);
  const data = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) data.setUint32(4 * index, word);
  return { version, bytes };
}

export function formatGlbAddress({ version, bytes }: GlbAddress): string {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (version === 4) return formatIpv4(data.getUint32(0));
  return formatIpv6([0, 4, 8, 12].map((at) => data.getUint32(at)));
}

/** `1.1.1.1/32 tcp 80`, `2001:db8::/64 udp 8000-8999`. */
export function formatGlbBind(bind: GlbBind): string {
  const ports = bind.firstPort === bind.lastPort ? `${bind.firstPort}` : `${bind.firstPort}-${bind.lastPort}`;
  return `${formatGlbAddress(bind.address)}/${bind.prefixLength} ${glbProtocolName(bind.protocol)} ${ports}`;
}

/** The protocols that GLB knows; others are refused by its director. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
]);

export function glbProtocolName(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`;
}

export function isGlbProtocol(protocol: number): boolean {
  return PROTOCOL_NAMES.has(protocol);
}
