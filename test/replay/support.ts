import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { CaptureRecord } from '../../src/io/capture/record.js';
import type { ListedSockets } from '../../src/io/listed-sockets.js';
import { ReplayFleet } from '../../src/replay/fleet.js';
import { type PacketDetail, PathReplay, type ReplayStage } from '../../src/replay/replay.js';
import { parsePacket } from '../../src/replay/script/packet-script.js';
import { LISTEN_EVERYWHERE, makeSockets, type SocketSections } from '../../src/replay/sockets-file.js';
import { parseIpv4, parsePrefix } from '../../src/table/address.js';
import type { ClusterConfig } from '../../src/table/cluster.js';
import { NO_CONTROL } from '../../src/table/control.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import type { TrafficsetConfig } from '../../src/table/trafficset.js';
import { uniformTable } from '../path/support.js';

/** A fleet of s1, s2 ... with DIPs 10.0.1.1, 10.0.2.1 ...; trafficset `web` goes to s2, then s3. */

export const dip = (server: number) => parseIpv4(`10.0.${server}.1`);

export const WEB: TrafficsetConfig = {
  name: 'web',
  kind: 'tcp',
  vips: ['192.0.2.0/24', '2001:db8:100::/64'].map(parsePrefix),
  ports: [{ first: 80, last: 80 }],
  dissector: FOUR_TUPLE_SPEC,
  table: '',
};

export function cluster(trafficsets: readonly TrafficsetConfig[] = [WEB], servers = 3): ClusterConfig {
  return {
    underlay: { prefixes: [parsePrefix('10.0.0.0/16')], port: 6080, mtu: 1500, icmpCopies: 10_000 },
    servers: Array.from({ length: servers }, (_, i) => ({
      name: `s${i + 1}`,
      dip: dip(i + 1),
      weight: 1,
      pool: 'default',
    })),
    trafficsets,
    control: NO_CONTROL,
  };
}

const NO_REPORT = {
  at: (_path: unknown, message: string) => {
    throw new Error(message);
  },
  add: () => {},
};

export function fleetOf(
  options: {
    readonly config?: ClusterConfig;
    readonly tables?: readonly ForwardingTable[];
    readonly sockets?: SocketSections;
  } = {},
): ReplayFleet {
  const config = options.config ?? cluster();
  const tables = options.tables ?? [uniformTable(dip(2), dip(3))];
  const sockets: Map<string, ListedSockets> = makeSockets(
    options.sockets ?? LISTEN_EVERYWHERE,
    config,
    NO_REPORT,
    [],
  );
  return new ReplayFleet(config, new Map(tables.map((table) => [table.trafficset, table])), sockets);
}

export interface RecordChanges {
  readonly linkType?: number;
  /** Keep this many bytes, as a snap length does. */
  readonly snap?: number;
}

export function record(bytes: Uint8Array, { linkType = 101, snap }: RecordChanges = {}): CaptureRecord {
  const made = new CaptureRecord();
  const kept = bytes.subarray(0, snap ?? bytes.length);
  // Behind what was captured lies the next record: here, something that would be noticed.
  made.bytes = Buffer.concat([Buffer.alloc(7, 0xa5), kept, Buffer.alloc(64, 0xa5)]);
  made.data = new DataView(made.bytes.buffer, made.bytes.byteOffset, made.bytes.byteLength);
  made.offset = 7;
  made.capturedLength = kept.length;
  made.originalLength = bytes.length;
  made.linkType = linkType;
  made.seconds = 1_700_000_000;
  made.nanoseconds = 5;
  return made;
}

/** What became of packets, given as lines or records. */
export function run(
  fleet: ReplayFleet,
  packets: ReadonlyArray<string | CaptureRecord>,
  stage: ReplayStage = 'journey',
  as: string | null = null,
): PacketDetail[] {
  const details: PacketDetail[] = [];
  const path = new PathReplay({
    fleet,
    stage,
    as: as === null ? null : (fleet.named(as) ?? null),
    output: null,
    onPacket: (packet) => details.push(packet),
  });
  for (const packet of packets)
    path.packet(typeof packet === 'string' ? record(parsePacket(packet)) : packet);
  return details;
}
