import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { TUPLE_SIZE } from '../../src/path/sockets.js';
import type { PathConfig } from '../../src/path/state.js';
import { parsePrefix } from '../../src/table/address.js';
import { ForwardingTable, newSlots } from '../../src/table/forwarding-table.js';
import { protocolsOf, type TrafficsetConfig } from '../../src/table/trafficset.js';
import { VipMatcher } from '../../src/table/vip-matcher.js';
import { ACK, buildPacket, type PacketFields, Random, TCP, UDP, wrapPacket } from './packets.js';
import type { ListedSocket } from './socket-set.js';

/**
 * The data center that is measured: sixteen servers, three trafficsets, tables of 65,536 buckets, many flows. Its
 * addresses lie beyond 2^31, where JavaScript's small integers end: what boxes numbers shows.
 */

export const BUCKETS = 65_536;
export const GUE_PORT = 6080;
export const SERVERS: readonly number[] = Array.from({ length: 16 }, (_, i) => 0xc0a80101 + 256 * i);
/** A node that is in no table: its forwarder forwards everything. */
export const BYSTANDER = 0xc0a8ff01;

export const VIP4 = 0xc0000200; // 192.0.2.0/24
export const WEB_PORT = 443;
export const DNS_PORT = 53;
export const QUIC_PORT = 8443;

const VIPS = ['192.0.2.0/24', '203.0.113.0/25', '203.0.113.192/26', '2001:db8:100::/64', '2001:db8:101::/64'];

const TRAFFICSETS: readonly TrafficsetConfig[] = [
  { kind: 'tcp', name: 'web', ports: [80, 443, 8000] },
  { kind: 'udp-flow', name: 'quic', ports: [443, 8443] },
  { kind: 'request-response', name: 'dns', ports: [53] },
].map(({ kind, name, ports }) => ({
  kind: kind as TrafficsetConfig['kind'],
  name,
  ports: ports.map((port) => ({ first: port, last: port })),
  vips: VIPS.map(parsePrefix),
  dissector: FOUR_TUPLE_SPEC,
  table: '',
}));

/** Every bucket has two different servers, so that every wrapped packet carries a hop. */
export function buildTable(
  trafficset: string,
  version: number,
  seed: number,
  buckets = BUCKETS,
): ForwardingTable {
  const random = new Random(seed);
  const slots = newSlots(buckets);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const first = random.below(SERVERS.length);
    const second = (first + 1 + random.below(SERVERS.length - 1)) % SERVERS.length;
    slots[2 * bucket] = SERVERS[first];
    slots[2 * bucket + 1] = SERVERS[second];
  }
  const hashKey = Uint8Array.from({ length: 8 }, () => random.below(256));
  return new ForwardingTable({ trafficset, version, hashKey, slots });
}

/** What the node at `dip` judges packets by. */
export function pathConfig(dip: number): PathConfig {
  return {
    dip,
    port: GUE_PORT,
    underlayMtu: 1500,
    underlayPrefixes: Uint32Array.of(0xc0a80000, 0xffff0000),
    vips: VipMatcher.build(TRAFFICSETS).shared(),
    trafficsets: TRAFFICSETS.map((trafficset, index) => ({
      name: trafficset.name,
      kind: trafficset.kind,
      protocols: protocolsOf(trafficset),
      dissector: trafficset.dissector,
      // The native twin drops them.
      followsFragments: 0,
      hasSessions: false,
      sessions: null,
      table: buildTable(trafficset.name, 1, index + 1).shared(),
    })),
    servers: SERVERS.map((server, index) => ({ name: `s${index + 1}`, dip: server })),
    icmpCopies: 0,
  };
}

/** A flow's packet: TCP to port 443 of a VIP. */
export function webPacket(random: Random, version: 4 | 6, length: number, tcpFlags = ACK): PacketFields {
  return {
    version,
    protocol: TCP,
    source: version === 4 ? (0x64400000 | random.below(1 << 22)) >>> 0 : random.next(),
    destination: version === 4 ? VIP4 + random.below(256) : random.below(1 << 16),
    sourcePort: 1024 + random.below(64_512),
    destinationPort: WEB_PORT,
    tcpFlags,
    length,
  };
}

export function udpPacket(random: Random, version: 4 | 6, length: number): PacketFields {
  const port = random.pick([QUIC_PORT, WEB_PORT, DNS_PORT, 9999]);
  return { ...webPacket(random, version, length), protocol: UDP, destinationPort: port };
}

/** Wrapped by another node for `dip`, with one more hop to try behind it. */
export function wrapFor(dip: number, inner: Uint8Array, random: Random, port = GUE_PORT): Uint8Array {
  const others = SERVERS.filter((server) => server !== dip);
  return wrapPacket(
    inner,
    random.pick(others),
    dip,
    0x8000 | random.below(0x8000),
    port,
    random.pick(others),
  );
}

export function socketOf(fields: PacketFields): ListedSocket {
  const packet = buildPacket(fields);
  const [source, size, ports] = fields.version === 4 ? [12, 4, 20] : [8, 16, 40];
  const tuple = new Uint8Array(TUPLE_SIZE);
  tuple.set(packet.subarray(source + size, source + 2 * size), 0);
  tuple.set(packet.subarray(source, source + size), 16);
  tuple.set(packet.subarray(ports + 2, ports + 4), 32);
  tuple.set(packet.subarray(ports, ports + 2), 34);
  return { version: fields.version, protocol: fields.protocol, tuple };
}
