import { fileURLToPath } from 'node:url';
import { type DissectorSpec, FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { QuicLbEncoder } from '../../src/flow/quic-lb.js';
import { Stage } from '../../src/path/counters.js';
import type { PathConfig } from '../../src/path/state.js';
import { VERDICTS, Verdict } from '../../src/path/verdict.js';
import { parsePrefix } from '../../src/table/address.js';
import { ALL_PORTS } from '../../src/table/trafficset.js';
import { VipMatcher } from '../../src/table/vip-matcher.js';
import { inWorker } from './in-worker.js';
import { buildPacket, Random, UDP } from './packets.js';
import type { Row } from './report.js';
import { ScriptPath } from './script-path.js';
import { SocketSet } from './socket-set.js';
import { pairedRounds } from './stats.js';
import { BYSTANDER, buildTable, GUE_PORT, SERVERS, VIP4, webPacket } from './workload.js';

/**
 * What dissectors cost: the forwarder with each, against the forwarder with `four-tuple`, over the same packets and in
 * the same rounds. Both run in one isolate, as they do in a node that serves several trafficsets.
 */

const PACKETS = 1024;
const WARM_UP = 20;
const LENGTH = 100;
const PAYLOAD = 28;

export interface DissectorCase {
  readonly name: string;
  readonly dissector: DissectorSpec;
  /** Bytes of the UDP payload, of which the rest is filled up. */
  payload(random: Random): Uint8Array;
  /** What every packet must come to. */
  readonly verdict: number;
  /** On the median; null where it is only stated. */
  readonly maxRatio: number | null;
}

const spec = (name: string, options: DissectorSpec['options'] = {}): DissectorSpec => ({
  name,
  module: null,
  options,
});

/** The guide's example: what a user's own dissector costs. From `dist-bench/test/bench`. */
const EXAMPLE = fileURLToPath(new URL('../../../native-notes/examples/stun-username.mjs', import.meta.url));

const KEY = '8f95f09245765f80256934e50c66207f';
const hex = (value: number, bytes: number): string => value.toString(16).padStart(2 * bytes, '0');

/** Short headers with connection IDs of every server. @param serverId @param nonce lengths in bytes */
function quicCase(
  name: string,
  serverId: number,
  nonce: number,
  key: string | null,
  maxRatio: number | null,
): DissectorCase {
  const server_ids = Object.fromEntries(
    SERVERS.map((_, index) => [`s${index + 1}`, hex(index + 1, serverId)]),
  );
  const config = { config_id: 0, nonce_length: nonce, server_ids, ...(key === null ? {} : { key }) };
  const encoder = new QuicLbEncoder({
    configId: 0,
    serverIdLength: serverId,
    nonceLength: nonce,
    key: key === null ? null : Buffer.from(key, 'hex'),
    firstOctetEncodesCidLength: false,
  });
  return {
    name,
    dissector: spec('quic-cid', { configs: [config] }),
    payload(random) {
      const bytes = new Uint8Array(1 + encoder.cidLength);
      bytes[0] = 0x40;
      const id = Buffer.from(hex(1 + random.below(SERVERS.length), serverId), 'hex');
      const nonceBytes = Uint8Array.from({ length: nonce }, () => random.below(256));
      encoder.encodeInto(new DataView(bytes.buffer), 1, id, nonceBytes, random.below(32));
      return bytes;
    },
    verdict: Verdict.ForwardNamed,
    maxRatio,
  };
}

const wireguard = (random: Random): Uint8Array =>
  Uint8Array.of(4, random.below(256), random.below(256), 1 + random.below(255));

export const DISSECTOR_CASES: readonly DissectorCase[] = [
  {
    name: 'dissect-two-tuple',
    dissector: spec('two-tuple'),
    payload: wireguard,
    verdict: Verdict.Forward,
    maxRatio: 1.1,
  },
  {
    name: 'dissect-source-address',
    dissector: spec('source-address'),
    payload: wireguard,
    verdict: Verdict.Forward,
    maxRatio: 1.1,
  },
  {
    name: 'dissect-wireguard-clientid',
    dissector: spec('wireguard-clientid'),
    payload: wireguard,
    verdict: Verdict.Forward,
    maxRatio: 1.1,
  },
  {
    name: 'dissect-ipsec-spi',
    dissector: spec('ipsec-spi'),
    payload: (random) => Uint8Array.of(1 + random.below(255), random.below(256), random.below(256), 1),
    verdict: Verdict.Forward,
    maxRatio: 1.1,
  },
  {
    name: 'dissect-own-module',
    dissector: { name: '', module: EXAMPLE, options: {} },
    payload: (random) =>
      Uint8Array.of(
        ...[0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, ...new Array<number>(12).fill(1)],
        ...[0, 6, 0, 8, ...Array.from({ length: 8 }, () => random.below(256))],
      ),
    verdict: Verdict.Forward,
    maxRatio: null,
  },
  quicCase('dissect-quic-cid-plaintext', 2, 6, null, 1.3),
  quicCase('dissect-quic-cid-one-block', 4, 12, KEY, null),
  quicCase('dissect-quic-cid-four-passes', 2, 6, KEY, null),
];

export interface DissectorInit {
  readonly name: string;
  readonly rounds: number;
}

/** Measures a case in a worker thread. */
export function runDissector(init: DissectorInit): Promise<Row> {
  return inWorker(new URL('./dissector-worker.js', import.meta.url), init);
}

export function benchDissector(which: DissectorCase, rounds: number): Row {
  const random = new Random(11);
  const inputs = Array.from({ length: PACKETS }, () => {
    const fields = webPacket(random, 4, LENGTH);
    const packet = buildPacket({ ...fields, protocol: UDP, destination: VIP4, destinationPort: 4500 });
    packet.set(which.payload(random), PAYLOAD);
    return packet;
  });
  const [own, fourTuple] = [which.dissector, FOUR_TUPLE_SPEC].map((dissector) => {
    const path = new ScriptPath(configOf(dissector), new SocketSet([]));
    path.fill(inputs, LENGTH + 40, Stage.Forward);
    return path;
  });
  const paired = pairedRounds(
    rounds,
    WARM_UP,
    () => fourTuple.round(50),
    () => own.round(50),
  );
  for (let index = 0; index < PACKETS; index++) {
    const { verdict } = own.outcome(index);
    if (verdict !== which.verdict) {
      throw new Error(`${which.name}: packet ${index} became ${VERDICTS[verdict].name}`);
    }
  }
  const { maxRatio } = which;
  return {
    name: which.name,
    unit: 'ns/packet',
    ...paired,
    ...(maxRatio === null ? {} : { bar: `ratio <= ${maxRatio}`, pass: paired.ratio.median <= maxRatio }),
    notes: ['the columns of C are those of four-tuple, in JavaScript, over the same packets'],
  };
}

function configOf(dissector: DissectorSpec): PathConfig {
  const vips = [parsePrefix('192.0.2.0/24')];
  const trafficset = {
    name: 'sessions',
    kind: 'udp-session',
    vips,
    ports: [ALL_PORTS],
    dissector,
    table: '',
  } as const;
  return {
    dip: BYSTANDER,
    port: GUE_PORT,
    underlayMtu: 1500,
    underlayPrefixes: Uint32Array.of(0xc0a80000, 0xffff0000),
    vips: VipMatcher.build([trafficset]).shared(),
    trafficsets: [
      {
        name: trafficset.name,
        kind: trafficset.kind,
        protocols: [UDP],
        dissector,
        followsFragments: 1,
        hasSessions: false,
        sessions: null,
        table: buildTable(trafficset.name, 1, 1).shared(),
      },
    ],
    servers: SERVERS.map((dip, index) => ({ name: `s${index + 1}`, dip })),
    icmpCopies: 0,
  };
}
