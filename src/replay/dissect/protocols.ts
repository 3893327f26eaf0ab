import {
  IP_PROTOCOL_AH,
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_GRE,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_NONE,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
} from '../../wire/ip.js';
import {
  IPV6_DESTINATION_OPTIONS,
  IPV6_EXTENSION_NAMES,
  IPV6_FRAGMENT,
  IPV6_HIP,
  IPV6_HOP_BY_HOP,
  IPV6_MOBILITY,
  IPV6_ROUTING,
  IPV6_SHIM6,
} from '../../wire/ipv6.js';
import type { Kind } from './layer-reader.js';

/** IP protocol numbers (IANA), those that are met. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [IP_PROTOCOL_ICMP, 'ICMP'],
  [2, 'IGMP'],
  [IP_PROTOCOL_IPIP, 'IPv4'],
  [IP_PROTOCOL_TCP, 'TCP'],
  [IP_PROTOCOL_UDP, 'UDP'],
  [33, 'DCCP'],
  [IP_PROTOCOL_IPV6, 'IPv6'],
  [IP_PROTOCOL_GRE, 'GRE'],
  [IP_PROTOCOL_ESP, 'ESP'],
  [IP_PROTOCOL_AH, 'AH'],
  [IP_PROTOCOL_ICMPV6, 'ICMPv6'],
  [IP_PROTOCOL_NONE, 'no next header'],
  [89, 'OSPF'],
  [103, 'PIM'],
  [112, 'VRRP'],
  [132, 'SCTP'],
  [136, 'UDP-Lite'],
]);

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [IP_PROTOCOL_ICMP, 'icmp'],
  [IP_PROTOCOL_IPIP, 'ipv4'],
  [IP_PROTOCOL_TCP, 'tcp'],
  [IP_PROTOCOL_UDP, 'udp'],
  [IP_PROTOCOL_IPV6, 'ipv6'],
  [IP_PROTOCOL_GRE, 'gre'],
  [IP_PROTOCOL_ESP, 'esp'],
  [IP_PROTOCOL_AH, 'ah'],
  [IP_PROTOCOL_ICMPV6, 'icmpv6'],
]);

const EXTENSION_KINDS: ReadonlyMap<number, Kind> = new Map([
  [IPV6_HOP_BY_HOP, 'hop-by-hop'],
  [IPV6_ROUTING, 'routing'],
  [IPV6_FRAGMENT, 'fragment'],
  [IPV6_DESTINATION_OPTIONS, 'destination-options'],
  [IPV6_MOBILITY, 'ipv6-extension'],
  [IPV6_HIP, 'ipv6-extension'],
  [IPV6_SHIM6, 'ipv6-extension'],
]);

/** `TCP`, or `protocol 200` for one without a name here. */
export function protocolName(protocol: number): string {
  return NAMES.get(protocol) ?? IPV6_EXTENSION_NAMES.get(protocol) ?? `protocol ${protocol}`;
}

/** What reads it, `payload` where nothing does. @param version of IP: the extension headers belong to IPv6 */
export function protocolKind(protocol: number, version: number): Kind {
  const extension = version === 6 ? EXTENSION_KINDS.get(protocol) : undefined;
  return extension ?? KINDS.get(protocol) ?? 'payload';
}

/** EtherTypes (IEEE), those that are met. */
const ETHERTYPES: ReadonlyMap<number, string> = new Map([
  [0x0800, 'IPv4'],
  [0x0806, 'ARP'],
  [0x6558, 'Ethernet'],
  [0x8100, '802.1Q VLAN'],
  [0x86dd, 'IPv6'],
  [0x8809, 'LACP'],
  [0x8847, 'MPLS'],
  [0x8863, 'PPPoE discovery'],
  [0x8864, 'PPPoE session'],
  [0x88a8, '802.1ad VLAN'],
  [0x88cc, 'LLDP'],
  [0x9100, 'VLAN'],
]);

const ETHERTYPE_KINDS: ReadonlyMap<number, Kind> = new Map([
  [0x0800, 'ipv4'],
  [0x0806, 'arp'],
  [0x6558, 'ethernet'],
  [0x8100, 'vlan'],
  [0x86dd, 'ipv6'],
  [0x88a8, 'vlan'],
  [0x9100, 'vlan'],
]);

export function ethertypeName(type: number): string {
  return ETHERTYPES.get(type) ?? `EtherType 0x${type.toString(16).padStart(4, '0')}`;
}

export function ethertypeKind(type: number): Kind {
  return ETHERTYPE_KINDS.get(type) ?? 'payload';
}
