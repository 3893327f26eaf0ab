import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  MAX_EXTENSION_HEADERS,
} from '../../wire/ip.js';
import { IPV4_AT_TOTAL_LENGTH, IPV4_HEADER } from '../../wire/ipv4.js';
import { IPV6_AT_PAYLOAD_LENGTH, IPV6_EXTENSION_NAMES, IPV6_FRAGMENT, IPV6_HEADER } from '../../wire/ipv6.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import { type InnerIp, type IpRules, readInnerIp } from './inner-ip.js';

/** First part of the model: an IP header, of the packet or of one that an ICMP error quotes. */

export interface IpReading extends InnerIp {
  /** What the header says is the length of the packet, itself included. */
  readonly length: number;
  /** It is IPv4, and its header is not 20 bytes long. */
  readonly options: boolean;
}

/** The same rules as the redirector's, for whom a packet is an inner one. */
function rulesOf({ ipLength, transportHeader }: ForwarderProfile): IpRules {
  const lengths = ipLength === 'checked' ? 'checked' : 'ignored';
  const walked = transportHeader === 'walked';
  return {
    // The version is looked at before.
    innerVersion: 'ignored',
    quotedVersion: lengths,
    ipv4HeaderLength: lengths,
    innerLength: lengths,
    quotedLength: lengths,
    fragmentHeader: walked ? 'understood' : 'unknown',
    extensionHeaders: walked ? [...IPV6_EXTENSION_NAMES.keys()].filter((type) => type !== IPV6_FRAGMENT) : [],
    mostExtensionHeaders: walked ? MAX_EXTENSION_HEADERS : 0,
  };
}

/**
 * The packet's own header.
 * @param announced what the link layer says it is, null where there is none
 * @returns the packet, or what is wrong with it
 */
export function readIp(
  profile: ForwarderProfile,
  data: DataView,
  announced: 4 | 6 | null,
): IpReading | string {
  const present = data.byteLength;
  if (present < IPV4_HEADER) return `${present} bytes are too few for an IP header`;
  const written = data.getUint8(0) >>> 4;
  const version = profile.version === 'header' ? written : (announced ?? written);
  if (version !== 4 && version !== 6) return `its version is ${version}, neither 4 nor 6`;
  return complete(profile, data, readInnerIp(rulesOf(profile), data, 0, present, version, 'inner'));
}

/** The header that an ICMP error quotes at `offset`. @param limit one past the last byte of the error */
export function readQuotedIp(
  profile: ForwarderProfile,
  data: DataView,
  offset: number,
  limit: number,
  version: 4 | 6,
): IpReading | string {
  return complete(profile, data, readInnerIp(rulesOf(profile), data, offset, limit, version, 'quoted'));
}

function complete(profile: ForwarderProfile, data: DataView, ip: InnerIp | string): IpReading | string {
  if (typeof ip === 'string') return ip;
  const isFixed = profile.transportHeader === 'fixed-offset';
  if (ip.version === 4) {
    const length = data.getUint16(ip.offset + IPV4_AT_TOTAL_LENGTH);
    const options = (data.getUint8(ip.offset) & 0x0f) << 2 !== IPV4_HEADER;
    return { ...ip, length, options, transport: isFixed ? ip.offset + IPV4_HEADER : ip.transport };
  }
  const length = IPV6_HEADER + data.getUint16(ip.offset + IPV6_AT_PAYLOAD_LENGTH);
  // Unread, any fragment header makes a fragment.
  const fragment = isFixed && ip.protocol === IPV6_FRAGMENT ? 'first' : ip.fragment;
  return { ...ip, length, options: false, fragment };
}

/** For people: `TCP`, `protocol 47`. */
export function protocolName(protocol: number): string {
  if (protocol === IP_PROTOCOL_TCP) return 'TCP';
  if (protocol === IP_PROTOCOL_UDP) return 'UDP';
  if (protocol === IP_PROTOCOL_ICMP) return 'ICMP';
  return protocol === IP_PROTOCOL_ICMPV6 ? 'ICMPv6' : `protocol ${protocol}`;
}
