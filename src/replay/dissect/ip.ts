import { IpPacket } from '../../wire/ip.js';
import { Reason } from '../../wire/reason.js';
import { hexNumber, type LayerReader, type Place, type Step } from './layer-reader.js';
import { protocolKind, protocolName } from './protocols.js';

/** What IPv4 and IPv6 have in common. */

/** For packets whose family only their first four bits tell. */
export function ipKind(place: Place): 'ipv4' | 'ipv6' | 'payload' {
  if (place.start >= place.limit) return 'payload';
  const version = place.data.getUint8(place.start) >>> 4;
  if (version === 4) return 'ipv4';
  return version === 6 ? 'ipv6' : 'payload';
}

/** The packet parsed for the checksums of what it carries; null where the path would refuse its headers. */
export function parseIp(place: Place): IpPacket | null {
  const packet = new IpPacket();
  return packet.parseQuoted(place.data, place.start, place.limit) === Reason.Ok ? packet : null;
}

/** Reads a version other than the header's own as one field and leaves the rest alone. */
export function wrongVersion(layer: LayerReader, expected: number): Step {
  const first = layer.packed(1, (value) => [['Version', String(value >>> 4), `not ${expected}`]]);
  layer.problem(`the version is ${first >>> 4}, not ${expected}`);
  return layer.carries('payload');
}

/**
 * One past the packet's last byte by its length field, as far as it is here.
 * @param said the length field in words: `total length says 1500 bytes`
 */
export function endByLength(layer: LayerReader, end: number, said: string): { end: number; cut: boolean } {
  const { limit, cut, start } = layer.place;
  if (end <= limit) return { end, cut: false };
  if (!cut) layer.problem(`${said}, ${limit - start} are here`);
  return { end: limit, cut: true };
}

/** What follows the last IP header of a packet that is whole or a first fragment. */
export function carriesProtocol(layer: LayerReader, protocol: number, end: number): Step {
  const kind = protocolKind(protocol);
  return layer.carries(kind, end, kind === 'payload' ? protocolName(protocol) : undefined);
}

/** ` fragment id 0x1234 offset 1480 more`: behind the two ends in the summary of a packet that carries one. */
export function fragmentText(id: number, idBytes: number, offset: number, more: boolean): string {
  return ` fragment id ${hexNumber(idBytes)(id)} offset ${offset}${more ? ' more' : ''}`;
}

const ECN = ['not ECN-capable', 'ECT(1)', 'ECT(0)', 'congestion experienced'];

export function ecnText(value: number): string {
  return ECN[value & 3];
}
