import { Flow, IcmpClass, isIcmp, readEspFlow, readIcmp, readTransportFlow } from '../flow/flow.js';
import { NO_SERVICE, NOT_VIP } from '../table/vip-matcher.js';
import {
  FragmentKind,
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IpPacket,
  OFFSET_BITS,
} from '../wire/ip.js';
import { IPV4_AT_DESTINATION } from '../wire/ipv4.js';
import { IPV6_AT_DESTINATION } from '../wire/ipv6.js';
import { Reason } from '../wire/reason.js';
import { TCP_AT_DESTINATION_PORT } from '../wire/tcp.js';
import type { PathState } from './state.js';

/** What a packet is to the load balancer; both stages begin with this and differ in what they make of it. */
export const PacketClass = {
  /** TCP, UDP or ESP of a trafficset: `flow` and `trafficset` are set. */
  Flow: 0,
  /** An ICMP error about a flow of a trafficset: `flow` is the quoted one, reversed. */
  FlowError: 1,
  /** Other ICMP to a VIP. */
  Icmp: 2,
  NotVip: 3,
  /** A VIP, but no trafficset has this protocol and port. */
  NoService: 4,
  /** A fragment that could belong to a trafficset that drops them, or an ICMP error that quotes a later fragment. */
  Fragment: 5,
  MalformedIp: 6,
  MalformedTransport: 7,
  MalformedIcmp: 8,
  /** An ICMP error to a VIP that quotes a packet from another address. */
  IcmpMismatch: 9,
  /** As Flow, and the first fragment of a datagram whose others follow it. */
  FirstFragment: 10,
  /** As NoService, likewise. */
  NoServiceFragment: 11,
  /** Perhaps of a datagram whose first fragment was seen: to be looked up before {@link Classifier.classifyUnknown}. */
  LaterFragment: 12,
  /** A fragment that could belong to a trafficset that follows them, and whose first one was not seen. */
  UnknownFragment: 13,
} as const;
export type PacketClass = (typeof PacketClass)[keyof typeof PacketClass];

/** Where the port is not known: any rule of the protocol. */
const ANY_PORT = -1;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const REASON = Reason;
const OFFSETS = OFFSET_BITS;
const FRAGMENT_KIND = FragmentKind;
const PACKET_CLASS = PacketClass;
const NO_VIP = NOT_VIP;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const ESP = IP_PROTOCOL_ESP;
const DESTINATION_PORT_AT = TCP_AT_DESTINATION_PORT;
const DESTINATION_AT_4 = IPV4_AT_DESTINATION;
const DESTINATION_AT_6 = IPV6_AT_DESTINATION;

/** Parses one packet and finds its trafficset. Results lie in the fields until the next call. */
export class Classifier {
  readonly packet = new IpPacket();
  readonly flow = new Flow();
  /** Index of the trafficset, or -1. */
  trafficset = -1;
  private readonly quote = new IpPacket();

  /** @param offset start of the IP header; @param limit one past the last byte present */
  classify(state: PathState, data: DataView, offset: number, limit: number): PacketClass {
    this.trafficset = -1;
    const packet = this.packet;
    if (packet.parse(data, offset, limit) !== REASON.Ok) return PACKET_CLASS.MalformedIp;
    const protocol = packet.protocol;

    if (packet.fragment !== FRAGMENT_KIND.None) return this.classifyFragment(state);

    if (protocol === TCP || protocol === UDP) {
      const transport = packet.transport & OFFSETS;
      const hasPorts = (packet.end & OFFSETS) - transport >= 4;
      const match = matchDestination(
        state,
        packet,
        hasPorts ? data.getUint16(transport + DESTINATION_PORT_AT) : ANY_PORT,
      );
      if (match < 0) return match === NO_VIP ? PACKET_CLASS.NotVip : PACKET_CLASS.NoService;
      this.trafficset = match;
      if (readTransportFlow(packet, this.flow) !== REASON.Ok) return PACKET_CLASS.MalformedTransport;
      return PACKET_CLASS.Flow;
    }

    const match = matchDestination(state, packet, ANY_PORT);
    if (match === NO_VIP) return PACKET_CLASS.NotVip;
    if (isIcmp(protocol, packet.version)) return this.classifyIcmp(state);
    if (match < 0) return PACKET_CLASS.NoService;
    this.trafficset = match;
    readEspFlow(packet, this.flow);
    return PACKET_CLASS.Flow;
  }

  private classifyFragment(state: PathState): PacketClass {
    const { packet, flow } = this;
    if (packet.fragment === FragmentKind.Later) {
      return state.followsFragments === 1 ? PacketClass.LaterFragment : this.classifyUnknown(state);
    }
    const { data, transport, end, protocol } = packet;
    const hasPorts = (protocol === TCP || protocol === UDP) && end - transport >= 4;
    const match = hasPorts
      ? matchDestination(state, packet, data.getUint16(transport + DESTINATION_PORT_AT))
      : protocol === ESP
        ? matchDestination(state, packet, ANY_PORT)
        : NO_SERVICE;
    if (match < 0) {
      // The later fragments have no port, and could be of any trafficset there: they must end as this one does.
      const unknown = this.classifyUnknown(state);
      if (unknown !== PacketClass.UnknownFragment || !hasPorts) return unknown;
      this.trafficset = -1;
      return PacketClass.NoServiceFragment;
    }
    this.trafficset = match;
    if (state.trafficsets[match].followsFragments === 0) return PacketClass.Fragment;
    if (protocol === ESP) readEspFlow(packet, flow);
    else if (readTransportFlow(packet, flow) !== Reason.Ok) return PacketClass.MalformedTransport;
    return PacketClass.FirstFragment;
  }

  /** What a fragment is whose datagram is not known: `packet` is still the one that was classified. */
  classifyUnknown(state: PathState): PacketClass {
    const match = matchDestination(state, this.packet, ANY_PORT);
    if (match < 0) return match === NOT_VIP ? PacketClass.NotVip : PacketClass.NoService;
    this.trafficset = match;
    return state.trafficsets[match].followsFragments === 1
      ? PacketClass.UnknownFragment
      : PacketClass.Fragment;
  }

  private classifyIcmp(state: PathState): PacketClass {
    const { packet, flow } = this;
    switch (readIcmp(packet, this.quote, flow)) {
      case IcmpClass.Malformed:
        return PACKET_CLASS.MalformedIcmp;
      case IcmpClass.FragmentError:
        return PACKET_CLASS.Fragment;
      case IcmpClass.Other:
        return PACKET_CLASS.Icmp;
    }
    if (!sameVip(packet, flow)) return PACKET_CLASS.IcmpMismatch;
    const match = matchFlow(state, flow);
    // An error about something that this load balancer does not steer is the kernel's, as the traffic was.
    if (match < 0) return PACKET_CLASS.Icmp;
    this.trafficset = match;
    return PACKET_CLASS.FlowError;
  }
}

function matchDestination(state: PathState, packet: IpPacket, port: number): number {
  const { data, protocol } = packet;
  const offset = packet.offset & OFFSETS;
  if (packet.version === 4)
    return state.vips.match4(data.getInt32(offset + DESTINATION_AT_4), protocol, port);
  return state.vips.match6(data, offset + DESTINATION_AT_6, protocol, port);
}

function matchFlow(state: PathState, flow: Flow): number {
  if (flow.version === 4) {
    return state.vips.match4(flow.data.getInt32(flow.destinationOffset), flow.protocol, flow.destinationPort);
  }
  return state.vips.match6(flow.data, flow.destinationOffset, flow.protocol, flow.destinationPort);
}

/** Is the error addressed to the VIP that sent the quoted packet? */
function sameVip(packet: IpPacket, flow: Flow): boolean {
  const data = packet.data;
  const quoted = flow.destinationOffset;
  if (packet.version === 4) return data.getInt32(packet.offset + DESTINATION_AT_4) === data.getInt32(quoted);
  for (let i = 0; i < 16; i += 4) {
    if (data.getInt32(packet.offset + DESTINATION_AT_6 + i) !== data.getInt32(quoted + i)) return false;
  }
  return true;
}
