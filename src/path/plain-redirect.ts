import { GUE_AT_HOPS, GUE_HEADER, GUE_HOP } from '../wire/gue.js';
import {
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  OFFSET_BITS,
} from '../wire/ip.js';
import { IPV4_AT_DESTINATION, IPV4_AT_FLAGS, IPV4_AT_SOURCE, IPV4_HEADER } from '../wire/ipv4.js';
import { IPV6_AT_DESTINATION, IPV6_AT_PAYLOAD_LENGTH, IPV6_AT_SOURCE, IPV6_HEADER } from '../wire/ipv6.js';
import {
  TCP_AT_DATA_OFFSET,
  TCP_AT_DESTINATION_PORT,
  TCP_AT_SEQUENCE,
  TCP_AT_SOURCE_PORT,
  TCP_HEADER,
} from '../wire/tcp.js';
import { UDP_AT_DESTINATION_PORT, UDP_HEADER } from '../wire/udp.js';
import type { PacketBatch } from './batch.js';
import type { Owner } from './owner.js';
import { OwnerRule, type PathState } from './state.js';

/**
 * The redirector's way for nearly every packet: TCP or UDP in a well-formed wrapper, without IPv4 options, IPv6
 * extension headers or fragments, for a trafficset whose packets are decided by sockets.
 *
 * It decides nothing of its own. `Redirector.judge` would come to the same verdict, and takes over wherever a check
 * fails here. What is saved is the passing on: there parsers hand over to each other through fields, and every case
 * that is not this one makes V8 forget what it knew. A third of the time per packet (native-notes/performance.md); the
 * twin is `judge` itself, in test/path/plain-redirect.test.ts.
 */

/** Instead of a verdict: the packet is something else, and nothing was noted about it. */
export const NOT_PLAIN = -1;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const ANOTHER = NOT_PLAIN;
const OFFSETS = OFFSET_BITS;
const BY_SESSIONS = OwnerRule.Sessions;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const IPIP = IP_PROTOCOL_IPIP;
const IPV6 = IP_PROTOCOL_IPV6;
/** Version 4 and a header of five words. */
const WITHOUT_OPTIONS = 0x45;
const HEADER_4 = IPV4_HEADER;
const FLAGS_AT_4 = IPV4_AT_FLAGS;
const SOURCE_AT_4 = IPV4_AT_SOURCE;
const DESTINATION_AT_4 = IPV4_AT_DESTINATION;
const HEADER_6 = IPV6_HEADER;
const LENGTH_AT_6 = IPV6_AT_PAYLOAD_LENGTH;
const SOURCE_AT_6 = IPV6_AT_SOURCE;
const DESTINATION_AT_6 = IPV6_AT_DESTINATION;
/** In the word at the flags: more fragments or an offset; then the TTL; then the protocol. */
const FRAGMENT = 0x3fff0000;
const UDP_PORT_AT = IPV4_HEADER + UDP_AT_DESTINATION_PORT;
const GUE_AT = IPV4_HEADER + UDP_HEADER;
const PRIVATE_AT = IPV4_HEADER + UDP_HEADER + GUE_HEADER;
const HOPS_AT = IPV4_HEADER + UDP_HEADER + GUE_AT_HOPS;
const PER_HOP = GUE_HOP;
/** GUE's control bit and variant, and flags; the private data's version, flags not understood and reserved byte. */
const GUE_NOT_PLAIN = 0xe000ffff;
const PRIVATE_NOT_PLAIN = 0xf7ff0000;
const FORWARD_SYN = 0x08000000;
const PORTS_AT = TCP_AT_SOURCE_PORT;
const DESTINATION_PORT_AT = TCP_AT_DESTINATION_PORT;
const SEQUENCE_AT = TCP_AT_SEQUENCE;
const DATA_OFFSET_AT = TCP_AT_DATA_OFFSET;
const TCP_MINIMUM = TCP_HEADER;
const UDP_MINIMUM = UDP_HEADER;

/**
 * Sets next hop and trafficset of the packet, and where its inner packet begins and ends.
 * @returns a verdict, PENDING after asking `owner` about its socket, or {@link NOT_PLAIN}
 */
export function judgePlain(
  state: PathState,
  batch: PacketBatch,
  i: number,
  owner: Owner,
  innerOffset: Int32Array,
  innerEnd: Int32Array,
): number {
  const data = batch.data;
  const offset = batch.offset[i] & OFFSETS;
  const present = batch.length[i] & OFFSETS;
  if (present < HOPS_AT) return ANOTHER;
  const first = data.getInt32(offset);
  const outerLength = first & 0xffff;
  if (first >>> 24 !== WITHOUT_OPTIONS || outerLength > present) return ANOTHER;
  if ((data.getInt32(offset + FLAGS_AT_4) & (FRAGMENT | 0xff)) !== UDP) return ANOTHER;
  if (data.getInt32(offset + DESTINATION_AT_4) !== state.self) return ANOTHER;
  const portAndLength = data.getInt32(offset + UDP_PORT_AT);
  const udpLength = portAndLength & 0xffff;
  if (portAndLength >>> 16 !== state.port || udpLength > outerLength - HEADER_4) return ANOTHER;
  if (!state.isUnderlay(data.getInt32(offset + SOURCE_AT_4))) return ANOTHER;

  const gue = data.getInt32(offset + GUE_AT);
  const privateData = data.getInt32(offset + PRIVATE_AT);
  const hopCount = privateData & 0xff;
  const nextHop = (privateData >>> 8) & 0xff;
  if ((gue & GUE_NOT_PLAIN) !== 0 || (privateData & PRIVATE_NOT_PLAIN) !== 0) return ANOTHER;
  if (gue >>> 24 !== 1 + hopCount || nextHop > hopCount) return ANOTHER;
  const innerAt = HOPS_AT + hopCount * PER_HOP;
  const room = HEADER_4 + udpLength - innerAt;
  if (room < HEADER_4) return ANOTHER;

  const inner = offset + innerAt;
  const innerFirst = data.getInt32(inner);
  const outerProtocol = (gue >>> 16) & 0xff;
  let version = 4;
  let protocol = 0;
  let length = 0;
  let remote = inner + SOURCE_AT_4;
  let local = inner + DESTINATION_AT_4;
  let header = HEADER_4;
  if (innerFirst >>> 24 === WITHOUT_OPTIONS && outerProtocol === IPIP) {
    const fragmentAndProtocol = data.getInt32(inner + FLAGS_AT_4);
    if ((fragmentAndProtocol & FRAGMENT) !== 0) return ANOTHER;
    protocol = fragmentAndProtocol & 0xff;
    length = innerFirst & 0xffff;
  } else if (innerFirst >>> 28 === 6 && outerProtocol === IPV6 && room >= HEADER_6) {
    const lengthAndProtocol = data.getInt32(inner + LENGTH_AT_6);
    version = 6;
    protocol = (lengthAndProtocol >>> 8) & 0xff;
    length = HEADER_6 + (lengthAndProtocol >>> 16);
    remote = inner + SOURCE_AT_6;
    local = inner + DESTINATION_AT_6;
    header = HEADER_6;
  } else {
    return ANOTHER;
  }

  const transport = inner + header;
  const segment = length - header;
  let tcpFlags = 0;
  let sequence = 0;
  if (length > room || segment < UDP_MINIMUM) return ANOTHER;
  if (protocol === TCP) {
    if (segment < TCP_MINIMUM) return ANOTHER;
    const offsetAndFlags = data.getUint16(transport + DATA_OFFSET_AT);
    const headerLength = (offsetAndFlags >>> 12) << 2;
    if (headerLength < TCP_MINIMUM || headerLength > segment) return ANOTHER;
    tcpFlags = offsetAndFlags & 0xff;
    sequence = data.getInt32(transport + SEQUENCE_AT);
  } else if (protocol !== UDP) {
    return ANOTHER;
  }
  const port = data.getUint16(transport + DESTINATION_PORT_AT);
  const index =
    version === 4
      ? state.vips.match4(data.getInt32(local), protocol, port)
      : state.vips.match6(data, local, protocol, port);
  if (index < 0) return ANOTHER;
  const trafficset = state.trafficsets[index];
  if (trafficset.ownerRule === BY_SESSIONS) return ANOTHER;
  const hop = nextHop < hopCount ? data.getInt32(offset + HOPS_AT + nextHop * PER_HOP) : 0;
  if (hop !== 0 && !state.isUnderlay(hop)) return ANOTHER;

  batch.trafficset[i] = index;
  batch.nextHop[i] = hop;
  innerOffset[i] = inner;
  innerEnd[i] = inner + length;
  const ports = data.getInt32(transport + PORTS_AT, true);
  return owner.decideBySockets(
    data,
    version,
    protocol,
    local,
    remote,
    ports,
    tcpFlags,
    sequence,
    0,
    hop !== 0 && hop !== state.self && trafficset.twoSlots === 1,
    hop === state.self,
    i,
    (privateData & FORWARD_SYN) === 0 ? 0 : 1,
  );
}
