import { formatIpv4, formatIpv6 } from '../wire/address.js';
import {
  FragmentKind,
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_GRE,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IpPacket,
} from '../wire/ip.js';
import { IPV4_AT_DESTINATION, IPV4_AT_SOURCE } from '../wire/ipv4.js';
import { IPV6_AT_DESTINATION, IPV6_AT_SOURCE } from '../wire/ipv6.js';
import { Reason } from '../wire/reason.js';

/** Packets and flows in a few words, as tcpdump's users know them. */

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  [IP_PROTOCOL_ICMP]: 'ICMP',
  [IP_PROTOCOL_IPIP]: 'IPv4',
  [IP_PROTOCOL_TCP]: 'TCP',
  [IP_PROTOCOL_UDP]: 'UDP',
  [IP_PROTOCOL_IPV6]: 'IPv6',
  [IP_PROTOCOL_GRE]: 'GRE',
  [IP_PROTOCOL_ESP]: 'ESP',
  [IP_PROTOCOL_ICMPV6]: 'ICMPv6',
};

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
}

/** `SYN`, `SYN,ACK`; '' for none. By the TCP flags byte. */
export const TCP_FLAG_NAMES: readonly string[] = Array.from({ length: 256 }, (_, flags) =>
  ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']
    .filter((_name, bit) => (flags & (1 << bit)) !== 0)
    .join(','),
);

/** `198.51.100.7:40000` or `[2001:db8::7]:40000`. */
export function endpoint(version: number, data: DataView, offset: number, port: number): string {
  const address = version === 4 ? formatIpv4(data.getUint32(offset)) : formatIpv6(data, offset);
  if (port < 0) return address;
  return version === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}

/** A flow's port as it is told: below 0 where its protocol has none. */
export function portOf(protocol: number, port: number): number {
  return protocol === IP_PROTOCOL_ESP ? -1 : port;
}

const scratch = new IpPacket();

/** `TCP 198.51.100.7:40000 > 192.0.2.1:80` of any bytes that should be an IP packet. */
export function packetWords(data: DataView, offset: number, limit: number): string {
  if (scratch.parse(data, offset, limit) !== Reason.Ok) return bytesWords(data, offset, limit);
  const { version, protocol, transport, end } = scratch;
  const source = offset + (version === 4 ? IPV4_AT_SOURCE : IPV6_AT_SOURCE);
  const destination = offset + (version === 4 ? IPV4_AT_DESTINATION : IPV6_AT_DESTINATION);
  const name = protocolName(protocol);
  const hasPorts =
    (protocol === IP_PROTOCOL_TCP || protocol === IP_PROTOCOL_UDP) &&
    scratch.fragment !== FragmentKind.Later &&
    end - transport >= 4;
  if (hasPorts) {
    const from = endpoint(version, data, source, data.getUint16(transport));
    const to = endpoint(version, data, destination, data.getUint16(transport + 2));
    return `${name} ${from} > ${to}${fragmentWords()}`;
  }
  const address = (at: number) => (version === 4 ? formatIpv4(data.getUint32(at)) : formatIpv6(data, at));
  const isIcmp = protocol === IP_PROTOCOL_ICMP || protocol === IP_PROTOCOL_ICMPV6;
  const type =
    isIcmp && scratch.fragment !== FragmentKind.Later && end - transport >= 2
      ? ` type ${data.getUint8(transport)} code ${data.getUint8(transport + 1)}`
      : '';
  return `${name} ${address(source)} > ${address(destination)}${type}${fragmentWords()}`;
}

function fragmentWords(): string {
  if (scratch.fragment === FragmentKind.None) return '';
  return scratch.fragment === FragmentKind.First ? ', first fragment' : ', later fragment';
}

/** `7 bytes: 45 00 00 07 ...` */
function bytesWords(data: DataView, offset: number, limit: number): string {
  const shown: string[] = [];
  for (let at = offset; at < Math.min(limit, offset + 8); at++) {
    shown.push(data.getUint8(at).toString(16).padStart(2, '0'));
  }
  const length = limit - offset;
  return `${length} ${length === 1 ? 'byte' : 'bytes'}: ${shown.join(' ')}${length > 8 ? ' ...' : ''}`;
}
