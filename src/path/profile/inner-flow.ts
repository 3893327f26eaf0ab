import { isIcmp } from '../../flow/flow.js';
import { NOT_VIP } from '../../table/vip-matcher.js';
import {
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
} from '../../wire/ip.js';
import {
  TCP_AT_DATA_OFFSET,
  TCP_AT_DESTINATION_PORT,
  TCP_AT_FLAGS,
  TCP_AT_SEQUENCE,
  TCP_AT_SOURCE_PORT,
  TCP_HEADER,
} from '../../wire/tcp.js';
import { UDP_HEADER } from '../../wire/udp.js';
import { readIcmp } from './inner-icmp.js';
import { addressesOf, flowWithoutPorts, type InnerIp, readInnerIp } from './inner-ip.js';
import { ANY_PORT, type InnerFlow, type Reading } from './reading.js';
import type { RedirectReason } from './redirect-reason.js';
import type { Wrapper } from './wrapper.js';

/** Third part of the model: which flow the inner packet belongs to. */

/** @returns the flow, or the end of the packet where it has none to be decided by */
export function readInnerFlow(reading: Reading, wrapper: Wrapper): InnerFlow | RedirectReason {
  const { profile, data, trace } = reading;
  if (wrapper.protocol !== IP_PROTOCOL_IPIP && wrapper.protocol !== IP_PROTOCOL_IPV6) {
    trace.count('error unknown l3');
    trace.tell('The inner packet is unknown', `GUE says protocol ${wrapper.protocol}, neither 4 nor 41`);
    return 'drop_malformed_ip';
  }
  const version = wrapper.protocol === IP_PROTOCOL_IPIP ? 4 : 6;
  trace.count(version === 4 ? 'l3 ipv4' : 'l3 ipv6');
  const ip = readInnerIp(profile, data, wrapper.inner, wrapper.end, version, 'inner');
  if (typeof ip === 'string') {
    trace.count('error malformed ip');
    trace.tell(`The inner IPv${version} packet is malformed`, ip);
    return 'drop_malformed_ip';
  }

  if (ip.fragment !== 'none' && (version === 6 || profile.fragments !== 'read-ipv4')) {
    const end = readFragment(reading, ip);
    if (end !== null) return end;
  }
  if (ip.protocol === IP_PROTOCOL_TCP) return readTcp(reading, ip);
  if (ip.protocol === IP_PROTOCOL_UDP) return readUdp(reading, ip);
  if (!isServed(reading, ip, ip.protocol, ANY_PORT)) return 'drop_not_vip';
  if (isIcmp(ip.protocol, version)) return readIcmp(reading, ip);
  if (ip.protocol === IP_PROTOCOL_ESP && profile.esp === 'served') return flowWithoutPorts(ip);
  trace.count('error unknown l4');
  trace.tell('The inner protocol is unknown', `it is ${ip.protocol}: neither TCP nor UDP nor ICMP`);
  return 'drop_unknown_protocol';
}

/** @returns how a fragment ends; null for a first one that is judged like a whole packet, and followed by the others */
function readFragment(reading: Reading, ip: InnerIp): RedirectReason | null {
  const { profile, site, data, trace } = reading;
  const serviceDecides = profile.fragments === 'by-service' && profile.services === 'checked';
  const unknown = (): RedirectReason => {
    if (!isServed(reading, ip, ip.protocol, ANY_PORT)) return 'drop_not_vip';
    trace.count('error fragmented ip');
    const follows = serviceDecides && site.serviceOf(reading.trafficset).followsFragments;
    trace.tell(
      'The inner packet is a fragment',
      follows ? 'the first one of its datagram was not seen before it' : 'its flow cannot be told',
    );
    return follows ? 'drop_fragment_unknown' : 'drop_fragment';
  };
  if (!serviceDecides) return unknown();
  if (ip.fragment === 'later') {
    reading.fragment = 'later';
    return unknown();
  }
  const isTransport = ip.protocol === IP_PROTOCOL_TCP || ip.protocol === IP_PROTOCOL_UDP;
  if (isTransport && ip.end - ip.transport < 4) return unknown();
  const port = isTransport ? vipPortOf(reading, ip) : ANY_PORT;
  const match = site.trafficsetOf(ip.version, data, addressesOf(ip).destination, ip.protocol, port);
  if (match < 0) {
    const end = unknown();
    if (end !== 'drop_fragment_unknown') return end;
    // To a port that nobody has: as a whole packet would end.
    reading.trafficset = -1;
    return 'drop_not_vip';
  }
  if (!site.serviceOf(match).followsFragments) {
    reading.trafficset = match;
    trace.tell('The inner packet is a fragment', 'its service drops them');
    return 'drop_fragment';
  }
  reading.fragment = 'first';
  return null;
}

function readTcp(reading: Reading, ip: InnerIp): InnerFlow | RedirectReason {
  const { profile, data, trace } = reading;
  trace.count('l4 tcp');
  const room = ip.end - ip.transport;
  if (!isServed(reading, ip, ip.protocol, vipPortOf(reading, ip))) return 'drop_not_vip';
  const malformed = (because: string): RedirectReason => {
    trace.count('error malformed tcp');
    trace.tell('The TCP header is malformed', because);
    return 'drop_malformed_transport';
  };
  if (room < TCP_HEADER) return malformed(`${Math.max(0, room)} bytes are left for it`);
  const headerLength = (data.getUint8(ip.transport + TCP_AT_DATA_OFFSET) >>> 4) << 2;
  if (profile.tcpDataOffset === 'checked' && (headerLength < TCP_HEADER || headerLength > room)) {
    return malformed(`by its data offset it is ${headerLength} bytes long`);
  }
  const flags = data.getUint8(ip.transport + TCP_AT_FLAGS);
  return flowOf(data, ip, flags, data.getUint32(ip.transport + TCP_AT_SEQUENCE));
}

function readUdp(reading: Reading, ip: InnerIp): InnerFlow | RedirectReason {
  const { profile, data, trace } = reading;
  trace.count('l4 udp');
  const room = ip.end - ip.transport;
  if (!isServed(reading, ip, ip.protocol, vipPortOf(reading, ip))) return 'drop_not_vip';
  if (profile.udp === 'accept') {
    trace.count('accepted udp');
    trace.tell('The packet stays here', 'it is UDP, and no socket is asked for that');
    return 'accept_udp';
  }
  if (room < UDP_HEADER) {
    trace.count('error malformed udp');
    trace.tell('The UDP header is malformed', `${Math.max(0, room)} bytes are left for it`);
    return 'drop_malformed_transport';
  }
  return flowOf(data, ip, 0, 0);
}

function flowOf(data: DataView, ip: InnerIp, tcpFlags: number, sequence: number): InnerFlow {
  const { source: client, destination: vip } = addressesOf(ip);
  return {
    version: ip.version,
    protocol: ip.protocol,
    client,
    vip,
    // UDP has its ports where TCP has them.
    clientPort: data.getUint16(ip.transport + TCP_AT_SOURCE_PORT),
    vipPort: data.getUint16(ip.transport + TCP_AT_DESTINATION_PORT),
    tcpFlags,
    sequence,
    quoted: false,
  };
}

function vipPortOf({ data }: Reading, ip: InnerIp): number {
  return ip.end - ip.transport < 4 ? ANY_PORT : data.getUint16(ip.transport + TCP_AT_DESTINATION_PORT);
}

/** Is this served at all? Notes the trafficset. ICMP is served by every VIP. */
function isServed(reading: Reading, ip: InnerIp, protocol: number, port: number): boolean {
  const { profile, site, data, trace } = reading;
  if (profile.services === 'ignored') return true;
  const match = site.trafficsetOf(ip.version, data, addressesOf(ip).destination, protocol, port);
  if (match >= 0) {
    reading.trafficset = match;
    return true;
  }
  if (match !== NOT_VIP && ip.fragment === 'none' && isIcmp(protocol, ip.version)) return true;
  const because = match === NOT_VIP ? 'its destination is no VIP' : 'no trafficset has its protocol and port';
  trace.tell('The inner packet is for nothing that is served here', because);
  return false;
}
