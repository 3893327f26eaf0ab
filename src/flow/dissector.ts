import type { z } from 'zod';
import type { IpPacket } from '../wire/ip.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/**
 * Flow dissectors: they take from a packet the bytes that must stay on one server. One file here per dissector, or a
 * user's own file that the configuration names; `registry.ts` finds both.
 */

/** What `dissect` returns instead of a key's length: this packet carries no key of mine, use the 4-tuple. */
export const DISSECT_FALLBACK = 0;
/**
 * The packet names its server: `key.server` is the DIP. Where that server stands in no bucket of the table any more, the
 * 4-tuple decides.
 */
export const DISSECT_SERVER = -1;
/** Drop the packet, for the first of the dissector's `drops`; `DISSECT_DROP - 1` is for the second, and so on. */
export const DISSECT_DROP = -2;

/** Most reasons to drop that one dissector has: each has a counter of its own. */
export const MAX_DROP_REASONS = 8;

/**
 * Takes the flow key from packets of one trafficset. Made once; its functions run for every packet and must neither
 * allocate nor throw, whatever the packet holds. A user's that throws, or returns what means nothing, drops its packet.
 */
export interface FlowDissector {
  /** The name used in configuration, metrics and explanations. */
  readonly name: string;
  /** Why packets are dropped: snake_case, at most {@link MAX_DROP_REASONS}, in the order of the codes. Absent: they never are. */
  readonly drops?: readonly string[];
  /**
   * @param packet the parsed packet, whole or a first fragment; bytes `[packet.transport, packet.end)` may be read. A
   *   UDP or TCP header is there; ESP (protocol 50) may be empty.
   * @param flow its addresses and ports; ports are 0 for ESP
   * @param key where the key goes: its bytes into `key.bytes` or `key.words`
   * @returns key length in bytes (1 .. MAX_KEY_LENGTH), DISSECT_FALLBACK, DISSECT_SERVER, or DISSECT_DROP and below
   */
  dissect(packet: IpPacket, flow: Flow, key: FlowKey): number;
  /**
   * The same for a flow that an ICMP error quotes, of which nothing is known but the tuple (`flow.quoted` is 1): the
   * quoted packet was sent by the server, and names what the client chose.
   * @returns key length in bytes. Absent: the tuple does not tell the key, so that errors are copied to every server.
   */
  dissectQuoted?(flow: Flow, key: FlowKey): number;
  /**
   * Makes a packet ready for the service, right before it is handed to this server's kernel. May change bytes of
   * `[packet.transport, packet.end)`, with their checksum, and must not change the length. Absent: nothing is changed.
   */
  deliver?(packet: IpPacket): void;
}

/** What a dissector may know of the world besides packets. */
export interface DissectorContext {
  readonly servers: readonly DissectorServer[];
  /** IP protocols of the trafficset. */
  readonly protocols: readonly number[];
}

export interface DissectorServer {
  readonly name: string;
  /** Host-order IPv4 address. */
  readonly dip: number;
}

/** What the configuration can name: a dissector with its options. A user's file exports one as `default`. */
export interface DissectorType<Options = never> {
  /** a-z, 0-9 and "-". */
  readonly name: string;
  /** IP protocols whose packets it understands. Absent: it does not matter. */
  readonly protocols?: readonly number[];
  /** Checks the options that stand in the configuration. Absent: there are none. */
  readonly options?: z.ZodType<Options>;
  /** @throws Error for options that contradict themselves or the context; the message says what to do */
  create(options: Options, context: DissectorContext): FlowDissector;
}

/** A dissector as the configuration names it: plain data that can be handed to a worker. */
export interface DissectorSpec {
  readonly name: string;
  /** Absolute path of the user's file, null for a built-in one. */
  readonly module: string | null;
  readonly options: Readonly<Record<string, unknown>>;
}

export const FOUR_TUPLE_SPEC: DissectorSpec = { name: 'four-tuple', module: null, options: {} };
