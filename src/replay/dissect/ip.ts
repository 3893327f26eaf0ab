import type { IpAround, LayerReader, Place, Step } from './layer-reader.js';
import { protocolKind, protocolName } from './protocols.js';
import { hexNumber } from './text.js';

/** What IPv4 and IPv6 have in common. */

/** For packets whose family only their first four bits tell. */
export function ipKind(place: Place): 'ipv4' | 'ipv6' | 'payload' {
  if (place.start >= place.limit) return 'payload';
  const version = place.data.getUint8(place.start) >>> 4;
  if (version === 4) return 'ipv4';
  return version === 6 ? 'ipv6' : 'payload';
}

export function ipAround({ start, limit }: Place, version: 4 | 6): IpAround {
  return { version, start, limit, routed: false };
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
export function endByLength(layer: LayerReader, end: number, said: string): { end: number; missing: number } {
  const { limit, missing, start } = layer.place;
  if (end <= limit) return { end, missing: 0 };
  if (end > limit + missing) layer.problem(`${said}, ${limit + missing - start} are there`);
  return { end: limit, missing: end - limit };
}

/** What follows an IP header, or one of its extension headers, in a packet that is whole or a first fragment. */
export function carriesProtocol(layer: LayerReader, protocol: number, version: number, end: number): Step {
  return layer.carries(protocolKind(protocol, version), end, protocolName(protocol));
}

/** `id 0x1234 offset 1480 more` */
export function fragmentText(id: number, idBytes: number, offset: number, more: boolean): string {
  return `id ${hexNumber(idBytes)(id)} offset ${offset}${more ? ' more' : ''}`;
}

const ECN = ['not ECN-capable', 'ECT(1)', 'ECT(0)', 'congestion experienced'];

export function ecnText(value: number): string {
  return ECN[value & 3];
}
