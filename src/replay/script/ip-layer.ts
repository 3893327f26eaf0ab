import { parseIpv4, parseIpv6 } from '../../table/address.js';
import { checksum, writeTransportChecksum } from '../../wire/checksum.js';
import { IpPacket } from '../../wire/ip.js';
import { encodeIpv4Into, IPV4_AT_CHECKSUM, IPV4_DF, IPV4_HEADER, IPV4_MF } from '../../wire/ipv4.js';
import {
  encodeIpv6FragmentInto,
  encodeIpv6Into,
  IPV6_DESTINATION_OPTIONS,
  IPV6_FRAGMENT,
  IPV6_FRAGMENT_HEADER,
  IPV6_HEADER,
  IPV6_HOP_BY_HOP,
} from '../../wire/ipv6.js';

/** What an IP header says besides its payload. */
export interface IpSettings {
  readonly source: string;
  readonly destination: string;
  ttl: number;
  /** Type of service, or traffic class. */
  tos: number;
  /** IPv4 only, but for fragments. */
  identification: number;
  flowLabel: number;
  /** Bytes of IPv4 options, a multiple of 4: no-operations. */
  optionsLength: number;
  /** IPv6 extension headers of eight bytes, in order. */
  readonly extensions: Array<'hop-by-hop' | 'destination'>;
  /** Null for a whole datagram; offset in bytes, a multiple of 8. */
  fragment: { readonly offset: number; readonly more: boolean } | null;
}

const NO_OPERATION = 1;
const NEXT_HEADER = { 'hop-by-hop': IPV6_HOP_BY_HOP, destination: IPV6_DESTINATION_OPTIONS } as const;

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** An IP packet around `payload`, with the transport checksum written where it can be. */
export function ipPacket(ip: IpSettings, protocol: number, payload: Uint8Array): Uint8Array {
  const bytes = isIpv6(ip.source) ? ipv6Packet(ip, protocol, payload) : ipv4Packet(ip, protocol, payload);
  const packet = new IpPacket();
  if (ip.fragment === null) {
    packet.parse(new DataView(bytes.buffer), 0, bytes.length);
    // Not for protocols without one, and not where the payload is too short to hold it.
    writeTransportChecksum(packet);
  }
  return bytes;
}

function ipv4Packet(ip: IpSettings, protocol: number, payload: Uint8Array): Uint8Array {
  const headerLength = IPV4_HEADER + ip.optionsLength;
  const bytes = new Uint8Array(headerLength + payload.length);
  const data = new DataView(bytes.buffer);
  const flags = ip.fragment === null ? IPV4_DF : (ip.fragment.more ? IPV4_MF : 0) | (ip.fragment.offset / 8);
  encodeIpv4Into(
    data,
    0,
    bytes.length,
    protocol,
    parseIpv4(ip.source),
    parseIpv4(ip.destination),
    ip.ttl,
    flags,
    ip.identification,
    ip.tos,
  );
  if (ip.optionsLength > 0) {
    bytes.fill(NO_OPERATION, IPV4_HEADER, headerLength);
    bytes[0] = 0x40 | (headerLength / 4);
    data.setUint16(IPV4_AT_CHECKSUM, 0);
    data.setUint16(IPV4_AT_CHECKSUM, checksum(data, 0, headerLength));
  }
  bytes.set(payload, headerLength);
  return bytes;
}

function ipv6Packet(ip: IpSettings, protocol: number, payload: Uint8Array): Uint8Array {
  const chain: number[] = [
    ...ip.extensions.map((name) => NEXT_HEADER[name]),
    ...(ip.fragment === null ? [] : [IPV6_FRAGMENT]),
    protocol,
  ];
  const extensionsLength = 8 * (chain.length - 1);
  const bytes = new Uint8Array(IPV6_HEADER + extensionsLength + payload.length);
  const data = new DataView(bytes.buffer);
  encodeIpv6Into(
    data,
    0,
    bytes.length - IPV6_HEADER,
    chain[0],
    addressBytes(ip.source),
    addressBytes(ip.destination),
    ip.ttl,
    ip.tos,
    ip.flowLabel,
  );
  let at = IPV6_HEADER;
  for (const next of chain.slice(1, ip.extensions.length + 1)) {
    // Length 0 means eight bytes; a PadN option of four bytes fills them (RFC 8200 section 4.2).
    bytes.set([next, 0, 1, 4, 0, 0, 0, 0], at);
    at += 8;
  }
  if (ip.fragment !== null) {
    const { offset, more } = ip.fragment;
    encodeIpv6FragmentInto(data, at, protocol, offset, more, ip.identification);
    at += IPV6_FRAGMENT_HEADER;
  }
  bytes.set(payload, at);
  return bytes;
}

export function addressBytes(address: string): Uint8Array {
  const words = isIpv6(address) ? parseIpv6(address) : [parseIpv4(address)];
  const bytes = new Uint8Array(4 * words.length);
  const data = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) data.setUint32(4 * index, word);
  return bytes;
}
