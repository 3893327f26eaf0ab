import { ICMP_HEADER, isIcmpError } from '../wire/icmp.js';
import { isIcmpv6Error } from '../wire/icmpv6.js';
import {
  FragmentKind,
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  type IpPacket,
  OFFSET_BITS,
} from '../wire/ip.js';
import { IPV4_AT_DESTINATION, IPV4_AT_SOURCE } from '../wire/ipv4.js';
import { IPV6_AT_DESTINATION, IPV6_AT_SOURCE } from '../wire/ipv6.js';
import { Reason } from '../wire/reason.js';
import { TCP_AT_DATA_OFFSET, TCP_AT_SEQUENCE, TCP_AT_SOURCE_PORT, TCP_HEADER } from '../wire/tcp.js';
import { UDP_HEADER } from '../wire/udp.js';

/**
 * The flow of one packet, always as the client's packets show it: source is the client, destination the VIP. For an
 * ICMP error it is the flow of the quoted packet, reversed, because the quoted packet left the VIP (RFC 7690 tells
 * why a load balancer must care).
 *
 * Re-used for packet after packet; addresses are named by where they lie, not copied.
 */
export class Flow {
  /** Bytes that the offsets below point into. */
  data: DataView = new DataView(new ArrayBuffer(0));
  /** 4 or 6. */
  version = 0;
  /** 6 (TCP), 17 (UDP) or 50 (ESP). */
  protocol = 0;
  /** Where the client's address starts (4 or 16 bytes). */
  sourceOffset = 0;
  /** Where the VIP starts. */
  destinationOffset = 0;
  /**
   * Both ports as they lie in the client's packets, source first: the little-endian word of those four bytes, as keys
   * and socket queries hold it. 0 where the protocol has none.
   */
  ports = 0;
  /** TCP flags byte (RFC 9293 section 3.1), 0 for UDP and for quoted packets. */
  tcpFlags = 0;
  /** TCP sequence number as int32 (no boxed number per packet), 0 where `tcpFlags` is. */
  sequence = 0;
  /** 1 when the flow was quoted by an ICMP error. */
  quoted = 0;

  /** 0 where the protocol has none. */
  get sourcePort(): number {
    return firstPort(this.ports);
  }

  /** Likewise. */
  get destinationPort(): number {
    return firstPort(exchangePorts(this.ports));
  }
}

/** The port that lies first in a word of two: its bytes are in network order. */
function firstPort(ports: number): number {
  return ((ports & 0xff) << 8) | ((ports >>> 8) & 0xff);
}

/** The same two ports in the other order. @param ports as in {@link Flow.ports} */
export function exchangePorts(ports: number): number {
  return (ports << 16) | (ports >>> 16);
}

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const REASON = Reason;
const OFFSETS = OFFSET_BITS;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const ESP = IP_PROTOCOL_ESP;
const TCP_MINIMUM = TCP_HEADER;
const UDP_MINIMUM = UDP_HEADER;
const DATA_OFFSET_AT = TCP_AT_DATA_OFFSET;
const SEQUENCE_AT = TCP_AT_SEQUENCE;
// UDP has its ports where TCP has them.
const PORTS_AT = TCP_AT_SOURCE_PORT;
const SOURCE_AT_4 = IPV4_AT_SOURCE;
const DESTINATION_AT_4 = IPV4_AT_DESTINATION;
const SOURCE_AT_6 = IPV6_AT_SOURCE;
const DESTINATION_AT_6 = IPV6_AT_DESTINATION;

/**
 * Reads the flow of a TCP or UDP packet, whole or a first fragment.
 * @returns Ok, Truncated when the transport header does not fit, BadHeaderLength for a TCP data offset below 5 or
 *   beyond the packet.
 */
export function readTransportFlow(packet: IpPacket, flow: Flow): Reason {
  const { data, protocol, version } = packet;
  const offset = packet.offset & OFFSETS;
  const transport = packet.transport & OFFSETS;
  const room = (packet.end & OFFSETS) - transport;
  // All reads before all stores: a store makes the optimiser forget where the bytes lie.
  let tcpFlags = 0;
  let sequence = 0;
  if (room < UDP_MINIMUM) return REASON.Truncated;
  const ports = data.getInt32(transport + PORTS_AT, true);
  if (protocol === TCP) {
    if (room < TCP_MINIMUM) return REASON.Truncated;
    const offsetAndFlags = data.getUint16(transport + DATA_OFFSET_AT);
    const headerLength = (offsetAndFlags >>> 12) << 2;
    if (headerLength < TCP_MINIMUM || headerLength > room) return REASON.BadHeaderLength;
    tcpFlags = offsetAndFlags & 0xff;
    sequence = data.getInt32(transport + SEQUENCE_AT);
  }
  if (flow.data !== data) flow.data = data;
  flow.version = version;
  flow.protocol = protocol;
  flow.ports = ports;
  flow.tcpFlags = tcpFlags;
  flow.sequence = sequence;
  flow.quoted = 0;
  if (version === 4) {
    flow.sourceOffset = offset + SOURCE_AT_4;
    flow.destinationOffset = offset + DESTINATION_AT_4;
  } else {
    flow.sourceOffset = offset + SOURCE_AT_6;
    flow.destinationOffset = offset + DESTINATION_AT_6;
  }
  return REASON.Ok;
}

/** The same for ESP, which has no ports: the flow is that of the addresses, until a dissector says more. */
export function readEspFlow(packet: IpPacket, flow: Flow): void {
  const isIpv4 = packet.version === 4;
  flow.data = packet.data;
  flow.version = packet.version;
  flow.protocol = packet.protocol;
  flow.sourceOffset = packet.offset + (isIpv4 ? SOURCE_AT_4 : SOURCE_AT_6);
  flow.destinationOffset = packet.offset + (isIpv4 ? DESTINATION_AT_4 : DESTINATION_AT_6);
  flow.ports = 0;
  flow.tcpFlags = 0;
  flow.sequence = 0;
  flow.quoted = 0;
}

/** What an ICMP message is to a load balancer. */
export const IcmpClass = {
  /** Shorter than an ICMP header, or an error whose quote cannot be read. */
  Malformed: 0,
  /** An error that quotes a TCP, UDP or ESP packet: it belongs to that flow. */
  FlowError: 1,
  /** An error that quotes the later fragment of a datagram: no ports, no flow. */
  FragmentError: 2,
  /** Anything else: echo, neighbour discovery, errors about other protocols. */
  Other: 3,
} as const;
export type IcmpClass = (typeof IcmpClass)[keyof typeof IcmpClass];

/**
 * Reads an ICMP or ICMPv6 message and, for an error about TCP, UDP or ESP, the flow it quotes, reversed.
 * RFC 792 promises only the quoted header and 8 bytes, so no more than the 4 bytes of the ports are asked for.
 * @param quote scratch for the quoted packet
 */
export function readIcmp(packet: IpPacket, quote: IpPacket, flow: Flow): IcmpClass {
  const data = packet.data;
  const start = packet.transport;
  if (packet.end - start < ICMP_HEADER) return IcmpClass.Malformed;
  const type = data.getUint8(start);
  if (packet.protocol === IP_PROTOCOL_ICMP ? !isIcmpError(type) : !isIcmpv6Error(type))
    return IcmpClass.Other;

  if (quote.parseQuoted(data, start + ICMP_HEADER, packet.end) !== Reason.Ok) return IcmpClass.Malformed;
  if (quote.version !== packet.version) return IcmpClass.Malformed;
  const protocol = quote.protocol;
  if (protocol !== TCP && protocol !== UDP && protocol !== ESP) return IcmpClass.Other;
  if (quote.fragment === FragmentKind.Later) return IcmpClass.FragmentError;
  const hasPorts = protocol !== ESP;
  if (hasPorts && quote.end - quote.transport < 4) return IcmpClass.Malformed;

  const isIpv4 = quote.version === 4;
  flow.data = data;
  flow.version = quote.version;
  flow.protocol = protocol;
  // Reversed: the quoted packet went from the VIP to the client.
  flow.sourceOffset = quote.offset + (isIpv4 ? DESTINATION_AT_4 : DESTINATION_AT_6);
  flow.destinationOffset = quote.offset + (isIpv4 ? SOURCE_AT_4 : SOURCE_AT_6);
  flow.ports = hasPorts ? exchangePorts(data.getInt32(quote.transport + PORTS_AT, true)) : 0;
  flow.tcpFlags = 0;
  flow.sequence = 0;
  flow.quoted = 1;
  return IcmpClass.FlowError;
}

export function isIcmp(protocol: number, version: number): boolean {
  return protocol === (version === 4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMPV6);
}
