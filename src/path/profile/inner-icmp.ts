import {
  ICMP_AT_CODE,
  ICMP_AT_TYPE,
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER,
  isIcmpError,
} from '../../wire/icmp.js';
import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_PACKET_TOO_BIG,
  isIcmpv6Error,
} from '../../wire/icmpv6.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { TCP_AT_DESTINATION_PORT, TCP_AT_SOURCE_PORT } from '../../wire/tcp.js';
import { addressesOf, type InnerIp, readInnerIp } from './inner-ip.js';
import type { InnerFlow, Reading } from './reading.js';
import type { RedirectReason } from './redirect-reason.js';
import type { IcmpKind } from './redirector-profile.js';

/** ICMP in the model: errors belong to the flow that they quote, everything else to any server or to none. */

export function readIcmp(reading: Reading, ip: InnerIp): InnerFlow | RedirectReason {
  const { profile, data, trace } = reading;
  const start = ip.transport;
  if (ip.end - start < ICMP_HEADER) {
    trace.count('error malformed icmp');
    trace.tell(
      'The ICMP message is malformed',
      `${Math.max(0, ip.end - start)} bytes are left for its header of 8`,
    );
    return 'drop_malformed_icmp';
  }
  const type = data.getUint8(start + ICMP_AT_TYPE);
  const code = data.getUint8(start + ICMP_AT_CODE);
  const message = `${ip.version === 4 ? 'ICMP' : 'ICMPv6'} type ${type} code ${code}`;
  if (!isFollowed(profile.icmpErrors, ip.version, type, code))
    return endWithoutFlow(reading, ip, type, message);
  trace.tell('The packet goes where the flow goes that it quotes', `${message} is an error about that flow`);
  return readQuote(reading, ip, start + ICMP_HEADER);
}

function isFollowed(errors: 'all' | 'too-big', version: 4 | 6, type: number, code: number): boolean {
  if (errors === 'all') return version === 4 ? isIcmpError(type) : isIcmpv6Error(type);
  if (version === 6) return type === ICMPV6_PACKET_TOO_BIG;
  return type === ICMP_DESTINATION_UNREACHABLE && code === ICMP_FRAGMENTATION_NEEDED;
}

function endWithoutFlow(reading: Reading, ip: InnerIp, type: number, message: string): RedirectReason {
  const kind = kindOf(ip.version, type);
  if (reading.profile.icmpAccepted.includes(kind)) {
    return acceptAnywhere(reading, `${message} belongs to no flow`, kind);
  }
  reading.trace.count(kind === 'echo-reply' ? 'error icmp echo reply' : 'error unwanted icmp');
  reading.trace.tell('The packet is not wanted', `no load balancer forwards ${message}`);
  return 'drop_unwanted_icmp';
}

function acceptAnywhere({ trace }: Reading, because: string, kind: IcmpKind = 'other'): RedirectReason {
  trace.count(kind === 'echo-request' ? 'accepted icmp echo request' : 'accepted icmp');
  trace.tell('The packet stays here', `${because}: any server may have it`);
  return 'accept_icmp';
}

function kindOf(version: 4 | 6, type: number): IcmpKind {
  const [request, reply] =
    version === 4 ? [ICMP_ECHO_REQUEST, ICMP_ECHO_REPLY] : [ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY];
  return type === request ? 'echo-request' : type === reply ? 'echo-reply' : 'other';
}

function readQuote(reading: Reading, ip: InnerIp, offset: number): InnerFlow | RedirectReason {
  const { profile, site, data, trace } = reading;
  const malformed = (because: string): RedirectReason => {
    trace.count('error malformed icmp quote');
    trace.tell('The quoted packet is malformed', because);
    return 'drop_malformed_icmp';
  };
  const quote = readInnerIp(profile, data, offset, ip.end, ip.version, 'quoted');
  if (typeof quote === 'string') return malformed(quote);

  const isEsp = quote.protocol === IP_PROTOCOL_ESP && profile.esp === 'served';
  const isTransport = isEsp || quote.protocol === IP_PROTOCOL_TCP || quote.protocol === IP_PROTOCOL_UDP;
  if (!isTransport && profile.quotedProtocol === 'accept') {
    return acceptAnywhere(reading, `the quoted packet has protocol ${quote.protocol}, neither TCP nor UDP`);
  }
  if (isRefusedFragment(profile.quotedFragment, quote)) {
    trace.count('error fragmented ip');
    trace.tell('The quoted packet is a fragment', 'it has no ports');
    return 'drop_fragment';
  }
  if (!isEsp && quote.end - quote.transport < 4) return malformed('it ends before its ports do');
  if (!isTransport && profile.quotedProtocol === 'drop') {
    trace.count('error malformed icmp');
    trace.tell('The quoted packet has no flow', `its protocol is ${quote.protocol}, neither TCP nor UDP`);
    return 'drop_malformed_icmp';
  }

  // The quoted packet went from the VIP to the client.
  const { source: vip, destination: client } = addressesOf(quote);
  if (
    profile.icmpDestination === 'checked' &&
    !sameAddress(data, addressesOf(ip).destination, vip, ip.version)
  ) {
    trace.tell('The error is a lie', 'it is not addressed to the sender of the packet that it quotes');
    return 'drop_icmp_mismatch';
  }
  const protocol = profile.quotedProtocol === 'as-tcp' ? IP_PROTOCOL_TCP : quote.protocol;
  const vipPort = isEsp ? 0 : data.getUint16(quote.transport + TCP_AT_SOURCE_PORT);
  const clientPort = isEsp ? 0 : data.getUint16(quote.transport + TCP_AT_DESTINATION_PORT);
  if (profile.services === 'checked') {
    const match = site.trafficsetOf(quote.version, data, vip, protocol, vipPort);
    if (match < 0) return acceptAnywhere(reading, 'the quoted flow is of no trafficset');
    reading.trafficset = match;
  }
  const flow = { version: quote.version, protocol, client, vip, clientPort, vipPort };
  return { ...flow, tcpFlags: 0, sequence: 0, quoted: true };
}

function isRefusedFragment(refused: 'drop-later' | 'drop-ipv6' | 'read', quote: InnerIp): boolean {
  if (refused === 'drop-later') return quote.fragment === 'later';
  return refused === 'drop-ipv6' && quote.version === 6 && quote.fragment !== 'none';
}

function sameAddress(data: DataView, a: number, b: number, version: 4 | 6): boolean {
  for (let i = 0; i < (version === 4 ? 4 : 16); i++) {
    if (data.getUint8(a + i) !== data.getUint8(b + i)) return false;
  }
  return true;
}
