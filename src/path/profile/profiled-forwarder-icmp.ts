import { ICMP_AT_TYPE, ICMP_ECHO_REQUEST, ICMP_HEADER } from '../../wire/icmp.js';
import { ICMPV6_ECHO_REQUEST } from '../../wire/icmpv6.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { IPV4_AT_IDENTIFICATION } from '../../wire/ipv4.js';
import { TCP_AT_DESTINATION_PORT, TCP_AT_SOURCE_PORT } from '../../wire/tcp.js';
import type { ForwardReason } from './forward-reason.js';
import { addressesOf, flowWithoutPorts } from './inner-ip.js';
import { type IpReading, protocolName, readQuotedIp } from './profiled-forwarder-ip.js';
import {
  describeFlow,
  type ForwardFlow,
  type ForwardReading,
  formatAddress,
  tell,
  unreadable,
} from './profiled-forwarder-reading.js';
import { leastOf, passIfNotServed } from './profiled-forwarder-service.js';
import { ANY_PORT } from './reading.js';

/** ICMP in the model: errors follow the flow that they quote, the rest has no flow. */

export function readIcmp(reading: ForwardReading, ip: IpReading): ForwardFlow | ForwardReason {
  const { profile, data, site } = reading;
  const { destination } = addressesOf(ip);
  if (
    profile.icmpDestination === 'checked' &&
    site.serviceOf(ip.version, data, destination, ip.protocol, ANY_PORT) === 'not-vip'
  ) {
    const address = formatAddress(data, ip.version, destination);
    tell(reading, 'The packet is left to the kernel', `${address} is no VIP`);
    return 'pass_not_vip';
  }
  const room = ip.end - ip.transport;
  const least = ip.version === 4 ? profile.icmpHeader.ipv4 : profile.icmpHeader.ipv6;
  if (room < least) {
    tell(reading, 'The ICMP message cannot be read', `${Math.max(0, room)} bytes are left for its header`);
    return unreadable(reading, 'drop_malformed_icmp');
  }

  const type = data.getUint8(ip.transport + ICMP_AT_TYPE);
  const message = `${protocolName(ip.protocol)} type ${type}`;
  const echoRequest = ip.version === 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
  if (type === echoRequest && profile.echoRequests === 'answered') {
    tell(reading, 'The echo request is answered', 'the load balancer answers for every address');
    return 'answer_echo';
  }
  const errors = ip.version === 4 ? profile.icmpErrors.ipv4 : profile.icmpErrors.ipv6;
  if (errors.includes(type)) {
    tell(
      reading,
      'The packet goes where the flow goes that it quotes',
      `${message} is an error about that flow`,
    );
    return readQuote(reading, ip);
  }
  if (profile.otherIcmp === 'pass') {
    tell(reading, 'The packet is left to the kernel', `${message} belongs to no flow`);
    return 'pass_icmp';
  }
  tell(reading, 'The packet is sent as a flow without ports', `${message} quotes none`);
  return passIfNotServed(reading, ip, ip.protocol, 0) ?? flowOfMessage(data, ip);
}

function flowOfMessage(data: DataView, ip: IpReading): ForwardFlow {
  // The low 16 bits of the IPv6 flow label, which lies in the first word.
  const hint = data.getUint16(ip.offset + (ip.version === 4 ? IPV4_AT_IDENTIFICATION : 2));
  return { ...flowWithoutPorts(ip), hint, length: ip.length };
}

/** The flow of the quoted packet, reversed: that packet went from the VIP to the client. */
function readQuote(reading: ForwardReading, ip: IpReading): ForwardFlow | ForwardReason {
  const { profile, site, data } = reading;
  const malformed = (because: string): ForwardReason => {
    tell(reading, 'The quoted packet cannot be read', because);
    return unreadable(reading, 'drop_malformed_icmp');
  };
  const quote = readQuotedIp(profile, data, ip.transport + ICMP_HEADER, ip.end, ip.version);
  if (typeof quote === 'string') return malformed(quote);
  if (quote.options && profile.ipv4Options === 'dropped') {
    tell(reading, 'The packet is dropped', 'the IPv4 header that it quotes has options');
    return 'drop_options';
  }
  const isEsp = quote.protocol === IP_PROTOCOL_ESP && profile.esp === 'served';
  const isTransport = isEsp || quote.protocol === IP_PROTOCOL_TCP || quote.protocol === IP_PROTOCOL_UDP;
  if (!isTransport && profile.otherProtocols === 'pass') {
    tell(reading, 'The packet is left to the kernel', `it quotes ${protocolName(quote.protocol)}`);
    return 'pass_icmp';
  }
  if (quote.fragment === 'later' && profile.quotedFragments === 'dropped') {
    tell(reading, 'The packet is dropped', 'it quotes a later fragment, which has no ports');
    return 'drop_fragment';
  }
  const room = quote.end - quote.transport;
  const least = isEsp ? 0 : leastOf(profile.quotedTransport, quote.protocol);
  if (room < least)
    return malformed(`${Math.max(0, room)} of the ${least} bytes are quoted that hold its ports`);

  const { source: vip, destination: client } = addressesOf(quote);
  const clientPort = isEsp ? 0 : data.getUint16(quote.transport + TCP_AT_DESTINATION_PORT);
  const flow: ForwardFlow = {
    version: ip.version,
    protocol: quote.protocol,
    client,
    vip,
    clientPort,
    vipPort: isEsp ? 0 : data.getUint16(quote.transport + TCP_AT_SOURCE_PORT),
    tcpFlags: 0,
    sequence: 0,
    quoted: true,
    hint: clientPort,
    length: ip.length,
  };
  const { destination } = addressesOf(ip);
  if (profile.icmpDestination === 'checked' && !sameAddress(data, ip.version, destination, vip)) {
    const [to, from] = [destination, vip].map((offset) => formatAddress(data, ip.version, offset));
    tell(reading, 'The packet is dropped', `it went to ${to} and quotes a packet from ${from}`);
    return 'drop_icmp_mismatch';
  }
  const service = site.serviceOf(flow.version, data, vip, flow.protocol, flow.vipPort);
  if (typeof service === 'string') {
    tell(reading, 'The packet is left to the kernel', `nothing here serves ${describeFlow(data, flow)}`);
    return 'pass_icmp';
  }
  reading.service = service;
  tell(reading, `The packet is for ${service.name}`, `it quotes the flow ${describeFlow(data, flow)}`);
  return flow;
}

function sameAddress(data: DataView, version: 4 | 6, a: number, b: number): boolean {
  const length = version === 4 ? 4 : 16;
  for (let i = 0; i < length; i++) if (data.getUint8(a + i) !== data.getUint8(b + i)) return false;
  return true;
}
