import { z } from 'zod';
import { IP_PROTOCOL_UDP, type IpPacket } from '../wire/ip.js';
import {
  QUIC_AT_DCID,
  QUIC_AT_DCID_LENGTH,
  QUIC_AT_VERSION,
  QUIC_MAX_CID,
  QUIC_SHORT_AT_DCID,
  QUIC_V1,
  QUIC_V2,
  QuicType,
  quicType,
} from '../wire/quic.js';
import { UDP_HEADER } from '../wire/udp.js';
import {
  DISSECT_DROP,
  DISSECT_FALLBACK,
  DISSECT_SERVER,
  type DissectorContext,
  type DissectorType,
  type FlowDissector,
} from './dissector.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';
import {
  QUIC_LB_MAX_SERVER_ID,
  QUIC_LB_UNROUTABLE_CONFIG_ID,
  type QuicLbConfig,
  QuicLbDecoder,
} from './quic-lb.js';
import { ServerIds } from './server-ids.js';

/**
 * QUIC by the connection ID that the server chose: its QUIC-LB server ID names the server directly, whatever the table
 * says, as long as that server is there at all.
 *
 * | packet | goes |
 * |---|---|
 * | Initial, 0-RTT (the client chose the ID), other versions' long headers, version negotiation | by the 4-tuple |
 * | Handshake, short header: a server ID that is configured | to that server |
 * | ... unroutable, an unknown configuration or server ID, too short for the configuration | by the 4-tuple |
 * | no byte of payload, a long header cut short, an ID longer than the version allows | dropped |
 *
 * Until the handshake is done the client's tuple does not change (RFC 9000 section 9), so that the 4-tuple finds the same
 * server in between, unless the table changes. The fixed bit is not looked at (RFC 9287).
 *
 * Sources: RFC 8999, RFC 9000 sections 5.1 and 17, RFC 9369 section 3.2; draft-ietf-quic-load-balancers-21 sections 3
 * to 5.
 */

const DROPS = ['empty', 'truncated', 'bad_cid_length'] as const;
const EMPTY = DISSECT_DROP;
const TRUNCATED = DISSECT_DROP - 1;
const BAD_CID_LENGTH = DISSECT_DROP - 2;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const FALLBACK = DISSECT_FALLBACK;
const SERVER = DISSECT_SERVER;
const UDP = IP_PROTOCOL_UDP;
const PAYLOAD_AT = UDP_HEADER;
const VERSION_AT = QUIC_AT_VERSION;
const DCID_LENGTH_AT = QUIC_AT_DCID_LENGTH;
const DCID_AT = QUIC_AT_DCID;
const SHORT_DCID_AT = QUIC_SHORT_AT_DCID;
const MAX_CID = QUIC_MAX_CID;
const V1 = QUIC_V1;
const V2 = QUIC_V2;
const HANDSHAKE = QuicType.Handshake;

class QuicCid implements FlowDissector {
  readonly name = 'quic-cid';
  readonly drops = DROPS;
  /** The decoder's answer, used again and again. */
  private readonly serverId = new Uint8Array(QUIC_LB_MAX_SERVER_ID);

  /** @param servers DIPs by server ID, by config ID */
  constructor(
    private readonly decoder: QuicLbDecoder,
    private readonly servers: readonly ServerIds[],
  ) {}

  dissect(packet: IpPacket, _flow: Flow, key: FlowKey): number {
    const { data, end } = packet;
    if (packet.protocol !== UDP) return FALLBACK;
    const at = packet.transport + PAYLOAD_AT;
    if (at >= end) return EMPTY;
    const first = data.getUint8(at);
    if (first < 0x80) return this.serverOf(data, at + SHORT_DCID_AT, end - at - SHORT_DCID_AT, key);

    if (at + DCID_AT > end) return TRUNCATED;
    const length = data.getUint8(at + DCID_LENGTH_AT);
    // The length of the source connection ID follows.
    if (at + DCID_AT + length >= end) return TRUNCATED;
    const version = data.getInt32(at + VERSION_AT);
    if (version !== V1 && version !== V2) return FALLBACK;
    if (length > MAX_CID) return BAD_CID_LENGTH;
    if (quicType(version, first) !== HANDSHAKE) return FALLBACK;
    return this.serverOf(data, at + DCID_AT, length, key);
  }

  private serverOf(data: DataView, offset: number, length: number, key: FlowKey): number {
    const { serverId } = this;
    const idLength = this.decoder.decode(data, offset, length, serverId);
    if (idLength < 0) return FALLBACK;
    const dip = this.servers[data.getUint8(offset) >>> 5].find(serverId);
    if (dip === 0) return FALLBACK;
    key.length = 0;
    key.server = dip;
    return SERVER;
  }
}

const hex = (what: string) =>
  z
    .string()
    .regex(/^([0-9a-f]{2})+$/i, { error: `expected ${what} in hexadecimal` })
    .transform((text) => Uint8Array.from(Buffer.from(text, 'hex')));

const options = z.strictObject({
  configs: z
    .array(
      z.strictObject({
        /** Config rotation bits: 0 to 6. */
        config_id: z.int().min(0).max(6),
        /** 16 bytes; without it the server IDs are in plaintext. */
        key: hex('16 bytes').optional(),
        nonce_length: z.int(),
        first_octet_encodes_length: z.boolean().default(false),
        /** Server ID by name of the server; all of one length. */
        server_ids: z.record(z.string(), hex('a server ID')),
      }),
    )
    .min(1),
});

type Options = z.output<typeof options>;

function create({ configs }: Options, { servers }: DissectorContext): FlowDissector {
  const dips = new Map(servers.map(({ name, dip }) => [name, dip]));
  const tables = new Array<ServerIds>(QUIC_LB_UNROUTABLE_CONFIG_ID).fill(new ServerIds([]));
  const parameters = configs.map((config): QuicLbConfig => {
    const { config_id: configId, server_ids: serverIds } = config;
    const where = `config_id ${configId}`;
    const entries = Object.entries(serverIds).map(([name, id]) => {
      const dip = dips.get(name);
      if (dip === undefined) {
        throw new Error(
          `${where}: server_ids: there is no server ${name}: known are ${[...dips.keys()].join(', ')}`,
        );
      }
      return { name, id, dip };
    });
    const [first] = entries;
    if (first === undefined) throw new Error(`${where}: server_ids is empty: give each server an ID`);
    for (const { name, id } of entries) {
      const other = entries.find((entry) => entry.name !== name && Buffer.compare(entry.id, id) === 0);
      if (other !== undefined) {
        throw new Error(`${where}: servers ${name} and ${other.name} have the same ID: give each its own`);
      }
      if (id.length !== first.id.length) {
        throw new Error(
          `${where}: the IDs of ${first.name} and ${name} have ${first.id.length} and ${id.length} bytes: all must be of one length`,
        );
      }
    }
    tables[configId] = new ServerIds(entries);
    return {
      configId,
      serverIdLength: first.id.length,
      nonceLength: config.nonce_length,
      key: config.key ?? null,
      firstOctetEncodesCidLength: config.first_octet_encodes_length,
    };
  });
  return new QuicCid(new QuicLbDecoder(parameters), tables);
}

export const quicCid: DissectorType<Options> = {
  name: 'quic-cid',
  protocols: [UDP],
  options,
  create,
};
