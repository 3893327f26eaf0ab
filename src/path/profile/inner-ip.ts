import { IP_PROTOCOL_AH } from '../../wire/ip.js';
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
  IPV6_FRAGMENT,
  IPV6_FRAGMENT_AT_OFFSET,
  IPV6_FRAGMENT_HEADER,
  IPV6_HEADER,
} from '../../wire/ipv6.js';
import type { InnerFlow } from './reading.js';
import type { RedirectorProfile } from './redirector-profile.js';

/** Second part of the model: an IP header, of the inner packet or of one that an ICMP error quotes. */

/** What of a profile this part reads; the model of the forwarder has these fields too, and is read by the same rules. */
export type IpRules = Pick<
  RedirectorProfile,
  | 'innerVersion'
  | 'quotedVersion'
  | 'ipv4HeaderLength'
  | 'innerLength'
  | 'quotedLength'
  | 'fragmentHeader'
  | 'extensionHeaders'
  | 'mostExtensionHeaders'
>;

export interface InnerIp {
  readonly version: 4 | 6;
  /** Start of the IP header. */
  readonly offset: number;
  /** Transport protocol, behind the extension headers that are stepped over. */
  readonly protocol: number;
  /** Start of the transport header; may lie beyond `end`. */
  readonly transport: number;
  /** One past the last byte that may be read. */
  readonly end: number;
  readonly fragment: 'none' | 'first' | 'later';
}

/** Whether a header is the inner packet's own, or quoted by an ICMP error and then probably cut. */
type Place = 'inner' | 'quoted';

/**
 * @param version what is announced: by GUE for the inner packet, by the ICMP message for the quoted one
 * @param limit one past the last byte present
 * @returns the packet, or what is wrong with it
 */
export function readInnerIp(
  rules: IpRules,
  data: DataView,
  offset: number,
  limit: number,
  version: 4 | 6,
  place: Place,
): InnerIp | string {
  const header = version === 4 ? IPV4_HEADER : IPV6_HEADER;
  if (limit - offset < header) return `${limit - offset} bytes are left for its header of ${header}`;
  const written = data.getUint8(offset) >>> 4;
  const versionField = place === 'inner' ? rules.innerVersion : rules.quotedVersion;
  if (versionField === 'checked' && written !== version) return `its version is ${written}, not ${version}`;
  return version === 4
    ? readIpv4(rules, data, offset, limit, place)
    : readIpv6(rules, data, offset, limit, place);
}

/** Where the addresses start (4 or 16 bytes). */
export function addressesOf(ip: InnerIp): { source: number; destination: number } {
  return ip.version === 4
    ? { source: ip.offset + IPV4_AT_SOURCE, destination: ip.offset + IPV4_AT_DESTINATION }
    : { source: ip.offset + IPV6_AT_SOURCE, destination: ip.offset + IPV6_AT_DESTINATION };
}

/** The flow of a packet whose protocol has no ports, or that does not show them. */
export function flowWithoutPorts(ip: InnerIp): InnerFlow {
  const { source: client, destination: vip } = addressesOf(ip);
  const { version, protocol } = ip;
  const noPorts = { clientPort: 0, vipPort: 0 };
  return { version, protocol, client, vip, ...noPorts, tcpFlags: 0, sequence: 0, quoted: false };
}

function readIpv4(
  rules: IpRules,
  data: DataView,
  offset: number,
  limit: number,
  place: Place,
): InnerIp | string {
  const headerLength = (data.getUint8(offset) & 0x0f) << 2;
  if (rules.ipv4HeaderLength === 'checked') {
    if (headerLength < IPV4_HEADER) return `its header length is ${headerLength}`;
    if (offset + headerLength > limit) return 'it ends before its options do';
  }
  const totalLength = data.getUint16(offset + IPV4_AT_TOTAL_LENGTH);
  const end = endByLength(rules, offset, headerLength, totalLength, limit, place);
  if (typeof end === 'string') return end;
  const flags = data.getUint16(offset + IPV4_AT_FLAGS);
  return {
    version: 4,
    offset,
    protocol: data.getUint8(offset + IPV4_AT_PROTOCOL),
    transport: offset + headerLength,
    end,
    fragment: (flags & 0x1fff) !== 0 ? 'later' : (flags & 0x2000) !== 0 ? 'first' : 'none',
  };
}

function readIpv6(
  rules: IpRules,
  data: DataView,
  offset: number,
  limit: number,
  place: Place,
): InnerIp | string {
  const totalLength = IPV6_HEADER + data.getUint16(offset + IPV6_AT_PAYLOAD_LENGTH);
  const end = endByLength(rules, offset, IPV6_HEADER, totalLength, limit, place);
  if (typeof end === 'string') return end;

  let next = data.getUint8(offset + IPV6_AT_NEXT_HEADER);
  let at = offset + IPV6_HEADER;
  let fragment: InnerIp['fragment'] = 'none';
  for (let count = 0; isExtension(rules, next); count++) {
    if (count === rules.mostExtensionHeaders) return `it has more than ${count} extension headers`;
    if (at + 8 > end) return 'it ends before its extension headers do';
    const type = next;
    next = data.getUint8(at);
    let length = (data.getUint8(at + 1) + 1) * 8;
    if (type === IP_PROTOCOL_AH) length = (data.getUint8(at + 1) + 2) * 4;
    if (type === IPV6_FRAGMENT) {
      const word = data.getUint16(at + IPV6_FRAGMENT_AT_OFFSET);
      if (rules.fragmentHeader === 'stepped-over') {
        fragment = 'first';
      } else {
        length = IPV6_FRAGMENT_HEADER;
        if ((word & 0xfff8) !== 0) {
          return { version: 6, offset, protocol: next, transport: at + length, end, fragment: 'later' };
        }
        if ((word & 1) !== 0) fragment = 'first';
      }
    }
    at += length;
    if (at > end) return 'it ends before its extension headers do';
  }
  return { version: 6, offset, protocol: next, transport: at, end, fragment };
}

function isExtension(rules: IpRules, next: number): boolean {
  if (next === IPV6_FRAGMENT) return rules.fragmentHeader !== 'unknown';
  return rules.extensionHeaders.includes(next);
}

/** @returns where the packet ends, or what is wrong with its length */
function endByLength(
  rules: IpRules,
  offset: number,
  headerLength: number,
  totalLength: number,
  limit: number,
  place: Place,
): number | string {
  const field = place === 'inner' ? rules.innerLength : rules.quotedLength;
  if (field === 'ignored') return limit;
  if (totalLength < headerLength) return `its length is ${totalLength}, less than its header`;
  const end = offset + totalLength;
  if (end <= limit) return end;
  // A quote is cut as a rule.
  return place === 'quoted' ? limit : `its length is ${totalLength}, and ${limit - offset} bytes are there`;
}
