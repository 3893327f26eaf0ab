import {
  IP_PROTOCOL_AH,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  MAX_EXTENSION_HEADERS,
} from '../../wire/ip.js';
import {
  IPV4_AT_DESTINATION,
  IPV4_AT_FLAGS,
  IPV4_AT_PROTOCOL,
  IPV4_AT_SOURCE,
  IPV4_AT_TOTAL_LENGTH,
  IPV4_HEADER,
} from '../../wire/ipv4.js';
import {
  IPV6_AT_DESTINATION,
  IPV6_AT_NEXT_HEADER,
  IPV6_AT_PAYLOAD_LENGTH,
  IPV6_AT_SOURCE,
  IPV6_EXTENSION_NAMES,
  IPV6_FRAGMENT,
  IPV6_FRAGMENT_AT_OFFSET,
  IPV6_FRAGMENT_HEADER,
  IPV6_HEADER,
} from '../../wire/ipv6.js';
import type { ForwarderProfile } from './forwarder-profile.js';

/** First part of the model: an IP header, of the packet or of one that an ICMP error quotes. */

export interface IpReading {
  readonly version: 4 | 6;
  /** Start of the IP header. */
  readonly offset: number;
  /** Transport protocol. */
  readonly protocol: number;
  /** Start of the transport header, or where it is taken to be. */
  readonly transport: number;
  /** One past the last byte that may be read. */
  readonly end: number;
  /** What the header says is the length of the packet, itself included. */
  readonly length: number;
  readonly fragment: 'none' | 'first' | 'later';
  readonly options: boolean;
}

/** Whether a header is the packet's own, or quoted by an ICMP error and then probably cut. */
type Place = 'own' | 'quoted';

/**
 * @param limit one past the last byte that came
 * @param announced what the link layer, or the ICMP message around the quote, says it is
 * @returns the packet, or what is wrong with it
 */
export function readIp(
  profile: ForwarderProfile,
  data: DataView,
  offset: number,
  limit: number,
  announced: 4 | 6 | null,
  place: Place,
): IpReading | string {
  const present = limit - offset;
  if (present < IPV4_HEADER) return `${Math.max(0, present)} bytes are too few for an IP header`;
  const written = data.getUint8(offset) >>> 4;
  const believed = profile.version === 'header' ? written : (announced ?? written);
  if (believed !== 4 && believed !== 6) return `its version is ${believed}, neither 4 nor 6`;
  if (place === 'quoted' && believed !== announced)
    return `IPv${believed} is quoted by another version's ICMP`;
  return believed === 4
    ? readIpv4(profile, data, offset, limit, place)
    : readIpv6(profile, data, offset, limit, place);
}

/** Where the addresses start (4 or 16 bytes). */
export function addressesOf(ip: IpReading): { readonly source: number; readonly destination: number } {
  return ip.version === 4
    ? { source: ip.offset + IPV4_AT_SOURCE, destination: ip.offset + IPV4_AT_DESTINATION }
    : { source: ip.offset + IPV6_AT_SOURCE, destination: ip.offset + IPV6_AT_DESTINATION };
}

/** For people: `TCP`, `protocol 47`. */
export function protocolName(protocol: number): string {
  if (protocol === IP_PROTOCOL_TCP) return 'TCP';
  if (protocol === IP_PROTOCOL_UDP) return 'UDP';
  if (protocol === IP_PROTOCOL_ICMP) return 'ICMP';
  return protocol === IP_PROTOCOL_ICMPV6 ? 'ICMPv6' : `protocol ${protocol}`;
}

function readIpv4(
  profile: ForwarderProfile,
  data: DataView,
  offset: number,
  limit: number,
  place: Place,
): IpReading | string {
  const headerLength = (data.getUint8(offset) & 0x0f) << 2;
  const length = data.getUint16(offset + IPV4_AT_TOTAL_LENGTH);
  if (profile.ipLength === 'checked') {
    if (headerLength < IPV4_HEADER) return `its header length of ${headerLength} is below ${IPV4_HEADER}`;
    if (offset + headerLength > limit) return 'it ends before its options do';
    if (length < headerLength) return `its length of ${length} is less than its header`;
  }
  const end = endOf(profile, offset, length, limit, place);
  if (typeof end === 'string') return end;
  const flags = data.getUint16(offset + IPV4_AT_FLAGS);
  return {
    version: 4,
    offset,
    protocol: data.getUint8(offset + IPV4_AT_PROTOCOL),
    transport: offset + (profile.transportHeader === 'walked' ? headerLength : IPV4_HEADER),
    end,
    length,
    fragment: (flags & 0x1fff) !== 0 ? 'later' : (flags & 0x2000) !== 0 ? 'first' : 'none',
    options: headerLength !== IPV4_HEADER,
  };
}

function readIpv6(
  profile: ForwarderProfile,
  data: DataView,
  offset: number,
  limit: number,
  place: Place,
): IpReading | string {
  if (limit - offset < IPV6_HEADER) return `${limit - offset} bytes are too few for an IPv6 header`;
  const length = IPV6_HEADER + data.getUint16(offset + IPV6_AT_PAYLOAD_LENGTH);
  const end = endOf(profile, offset, length, limit, place);
  if (typeof end === 'string') return end;
  const next = data.getUint8(offset + IPV6_AT_NEXT_HEADER);
  const transport = offset + IPV6_HEADER;
  const start: IpReading = {
    version: 6,
    offset,
    protocol: next,
    transport,
    end,
    length,
    fragment: 'none',
    options: false,
  };
  if (profile.transportHeader === 'walked') return walkExtensions(data, start);
  return { ...start, fragment: next === IPV6_FRAGMENT ? 'first' : 'none' };
}

function walkExtensions(data: DataView, start: IpReading): IpReading | string {
  const { end } = start;
  let { protocol: next, transport: at } = start;
  let fragment: IpReading['fragment'] = 'none';
  for (let count = 0; IPV6_EXTENSION_NAMES.has(next); count++) {
    if (count === MAX_EXTENSION_HEADERS) return `it has more than ${MAX_EXTENSION_HEADERS} extension headers`;
    if (at + 8 > end) return 'it ends before its extension headers do';
    const type = next;
    next = data.getUint8(at);
    if (type === IPV6_FRAGMENT) {
      const word = data.getUint16(at + IPV6_FRAGMENT_AT_OFFSET);
      at += IPV6_FRAGMENT_HEADER;
      // What follows is the middle of a datagram: nothing in it is a header.
      if ((word & 0xfff8) !== 0) return { ...start, protocol: next, transport: at, fragment: 'later' };
      if ((word & 1) !== 0) fragment = 'first';
    } else {
      const units = data.getUint8(at + 1);
      at += type === IP_PROTOCOL_AH ? (units + 2) * 4 : (units + 1) * 8;
    }
    if (at > end) return 'it ends before its extension headers do';
  }
  return { ...start, protocol: next, transport: at, fragment };
}

function endOf(
  profile: ForwarderProfile,
  offset: number,
  length: number,
  limit: number,
  place: Place,
): number | string {
  if (profile.ipLength === 'trusted') return limit;
  const end = offset + length;
  if (end <= limit) return end;
  // A quote is cut as a rule.
  return place === 'quoted' ? limit : `its length is ${length}, and ${limit - offset} bytes came`;
}
