import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { DISSECT_FALLBACK, DISSECT_SERVER, type FlowDissector } from '../../src/flow/dissector.js';
import { Flow } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { quicCid } from '../../src/flow/quic-cid.js';
import { QUIC_LB_MAX_SERVER_ID, QuicLbDecoder, quicLbConfigId } from '../../src/flow/quic-lb.js';
import { CaptureReader } from '../../src/io/capture/reader.js';
import { CaptureRecord } from '../../src/io/capture/record.js';
import { IP_PROTOCOL_UDP, IpPacket } from '../../src/wire/ip.js';
import { ipOffset } from '../../src/wire/link.js';
import { isQuicLong, QUIC_SHORT_AT_DCID, QuicLongView, QuicType } from '../../src/wire/quic.js';
import { Reason } from '../../src/wire/reason.js';
import { UDP_HEADER } from '../../src/wire/udp.js';
import { hex, toHex } from '../wire/bytes.js';

/** Real packets: ngtcp2 clients that migrate, quiche servers whose IDs follow QUIC-LB. See test/data/README.md. */
const file = (name: string): string => fileURLToPath(new URL(`../data/captures/${name}`, import.meta.url));

interface Recorded {
  readonly server_ids: Readonly<Record<string, string>>;
  readonly configs: readonly {
    readonly config_id: number;
    readonly key: string | null;
    readonly nonce_length: number;
    readonly first_octet_encodes_length: boolean;
  }[];
  /** As the servers told it. */
  readonly connections: readonly {
    readonly server: string;
    readonly peers: readonly { readonly port: number }[];
    readonly used: readonly string[];
  }[];
}

const recorded: Recorded = JSON.parse(readFileSync(file('quic-lb-migration.json'), 'utf8'));
const CID_LENGTH = 17;
const DIPS: Readonly<Record<string, number>> = { s1: 0x0a000101, s2: 0x0a000201, s3: 0x0a000301 };

const decoder = new QuicLbDecoder(
  recorded.configs.map((config) => ({
    configId: config.config_id,
    serverIdLength: 2,
    nonceLength: config.nonce_length,
    key: config.key === null ? null : hex(config.key),
    firstOctetEncodesCidLength: config.first_octet_encodes_length,
  })),
);

function makeDissector(): FlowDissector {
  const options = quicCid.options?.parse({
    configs: recorded.configs.map(({ key, ...config }) => ({
      ...config,
      ...(key === null ? {} : { key }),
      server_ids: recorded.server_ids,
    })),
  });
  if (options === undefined) throw new Error('quic-cid has options');
  const servers = Object.entries(DIPS).map(([name, dip]) => ({ name, dip }));
  return quicCid.create(options, { servers, protocols: [IP_PROTOCOL_UDP] });
}

/** One packet that a client sent. */
interface Sent {
  readonly port: number;
  readonly type: 'short' | QuicType;
  /** Hexadecimal, of the length that the servers use where the packet does not tell. */
  readonly dcid: string;
  /** What the decoder takes from it, or a negative number. */
  readonly serverId: string | number;
  /** What the dissector says, and the server that it names. */
  readonly dissected: number;
  readonly dip: number;
}

async function readSent(): Promise<Sent[]> {
  const reader = await CaptureReader.open(file('quic-lb-migration.pcap'));
  const record = new CaptureRecord();
  const packet = new IpPacket();
  const long = new QuicLongView();
  const flow = new Flow();
  const key = new FlowKey();
  const into = new Uint8Array(QUIC_LB_MAX_SERVER_ID);
  const dissector = makeDissector();
  const sent: Sent[] = [];
  do {
    while (reader.next(record)) {
      const { data, offset, capturedLength, linkType } = record;
      const limit = offset + capturedLength;
      expect(packet.parse(data, ipOffset(linkType, data, offset, limit), limit)).toBe(Reason.Ok);
      expect(packet.protocol).toBe(IP_PROTOCOL_UDP);
      if (data.getUint16(packet.transport + 2) !== 443) continue;
      const at = packet.transport + UDP_HEADER;
      let type: Sent['type'] = 'short';
      let dcidOffset = at + QUIC_SHORT_AT_DCID;
      let length = packet.end - dcidOffset;
      if (isQuicLong(data.getUint8(at))) {
        expect(long.attach(data, at, packet.end)).toBe(Reason.Ok);
        type = long.type;
        dcidOffset = long.dcidOffset;
        length = long.dcidLength;
      }
      const idLength = decoder.decode(data, dcidOffset, length, into);
      key.server = 0;
      sent.push({
        port: data.getUint16(packet.transport),
        type,
        dcid: toHex(record.bytes.subarray(dcidOffset, dcidOffset + (type === 'short' ? CID_LENGTH : length))),
        serverId: idLength < 0 ? idLength : toHex(into.subarray(0, idLength)),
        dissected: dissector.dissect(packet, flow, key),
        dip: key.server,
      });
    }
  } while (await reader.more());
  expect(reader.cut).toBeNull();
  await reader.close();
  return sent;
}

describe('QUIC connections that migrate', () => {
  let sent: Sent[];
  beforeAll(async () => {
    sent = await readSent();
  });

  it.each(recorded.connections.map((connection, index) => ({ index, ...connection })))(
    'connection $index names $server in every packet behind the handshake, from both of its ports',
    ({ server, peers, used }) => {
      const ports = peers.map(({ port }) => port);
      expect(ports.length).toBe(2);
      const short = sent.filter(({ port, type }) => ports.includes(port) && type === 'short');
      expect(new Set(short.map(({ port }) => port))).toEqual(new Set(ports));
      for (const { serverId, dissected, dip } of short) {
        expect({ serverId, dissected, dip }).toEqual({
          serverId: recorded.server_ids[server],
          dissected: DISSECT_SERVER,
          dip: DIPS[server],
        });
      }
      // A fresh ID after the move, of another configuration (RFC 9000 section 9.5).
      expect([...new Set(short.map(({ dcid }) => dcid))]).toEqual(used);
      expect(new Set(used.map((id) => quicLbConfigId(Number.parseInt(id.slice(0, 2), 16)))).size).toBe(2);
      const first = short.filter(({ port }) => port === ports[0]).map(({ dcid }) => dcid);
      const second = short.filter(({ port }) => port === ports[1]).map(({ dcid }) => dcid);
      expect(new Set(second).has(used[0])).toBe(false);
      expect(first).toContain(used[0]);
    },
  );

  it('leave their Initials to the 4-tuple, and nothing else', () => {
    for (const { type, dissected } of sent) {
      expect(dissected).toBe(type === QuicType.Initial ? DISSECT_FALLBACK : DISSECT_SERVER);
    }
  });

  it('have IDs of every configuration, on more than one server', () => {
    const used = recorded.connections.flatMap((connection) => connection.used);
    const configIds = used.map((id) => quicLbConfigId(Number.parseInt(id.slice(0, 2), 16)));
    expect(new Set(configIds)).toEqual(new Set(recorded.configs.map((config) => config.config_id)));
    expect(new Set(recorded.connections.map(({ server }) => server)).size).toBeGreaterThan(1);
  });

  it('could not be told apart from noise with another key', () => {
    const other = new QuicLbDecoder(
      recorded.configs.map((config) => ({
        configId: config.config_id,
        serverIdLength: 2,
        nonceLength: config.nonce_length,
        key: new Uint8Array(16),
        firstOctetEncodesCidLength: config.first_octet_encodes_length,
      })),
    );
    const known = new Set(Object.values(recorded.server_ids));
    const into = new Uint8Array(QUIC_LB_MAX_SERVER_ID);
    for (const id of recorded.connections.flatMap((connection) => connection.used)) {
      const bytes = hex(id);
      const length = other.decode(
        new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
        0,
        bytes.length,
        into,
      );
      expect(known.has(toHex(into.subarray(0, length)))).toBe(false);
    }
  });
});
