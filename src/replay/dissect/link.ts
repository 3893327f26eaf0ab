import { endByLength } from './ip.js';
import type { Kind, LayerReader, Step } from './layer-reader.js';
import { ethertypeKind, ethertypeName } from './protocols.js';
import { bytesText, hex16, hexOf, inBytes } from './text.js';

/**
 * What lies in front of the IP header in a capture.
 *
 * Sources: IEEE 802.3 and 802.1Q; the descriptions of LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL and
 * LINKTYPE_LOOP at tcpdump.org.
 */

/** Below, the field is a length and an LLC header follows (IEEE 802.3 section 3.2.6). */
const LEAST_ETHERTYPE = 0x600;

export function dissectEthernet(layer: LayerReader): Step {
  const destination = layer.macAddress('Destination Address');
  const source = layer.macAddress('Source Address');
  if (destination !== '' && source !== '') layer.summary = `${source} > ${destination}`;
  return dissectEthertype(layer, 14);
}

export function dissectVlan(layer: LayerReader): Step {
  const tag = layer.packed(2, (value) => [
    ['Priority Code Point', String(value >>> 13)],
    ['Drop Eligible Indicator', String((value >>> 12) & 1)],
    ['VLAN Identifier', String(value & 0xfff)],
  ]);
  if (!layer.short) layer.summary = `${tag & 0xfff}`;
  return dissectEthertype(layer, 4);
}

function dissectEthertype(layer: LayerReader, header: number): Step {
  const type = layer.number('EtherType', 2, hex16, (value) =>
    value < LEAST_ETHERTYPE ? `length: ${bytesText(value)}` : ethertypeName(value),
  );
  if (layer.short) return layer.cutHeader(header);
  if (type >= LEAST_ETHERTYPE) return carriesEthertype(layer, type);
  const { end, missing } = endByLength(layer, layer.at + type, `length says ${bytesText(type)} behind it`);
  return { ...layer.carries('payload', end, 'LLC'), missing };
}

function carriesEthertype(layer: LayerReader, type: number): Step {
  return layer.carries(ethertypeKind(type), layer.limit, ethertypeName(type));
}

const PACKET_TYPES = ['to us', 'broadcast', 'multicast', 'to somebody else', 'sent by us'];
const ARPHRD_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'Ethernet'],
  [772, 'loopback'],
  [778, 'GRE over IPv4'],
  [0xfffe, 'none'],
]);

export function dissectLinuxSll(layer: LayerReader): Step {
  const type = layer.number('Packet Type', 2, String, (value) => PACKET_TYPES[value]);
  layer.number('ARPHRD Type', 2, String, (value) => ARPHRD_NAMES.get(value));
  const length = layer.number('Link-Layer Address Length', 2, String, inBytes);
  linkAddress(layer, length);
  const protocol = layer.number('Protocol Type', 2, hex16, ethertypeName);
  if (layer.short) return layer.cutHeader(16);
  layer.summary = PACKET_TYPES[type] ?? `packet type ${type}`;
  return carriesEthertype(layer, protocol);
}

export function dissectLinuxSll2(layer: LayerReader): Step {
  const protocol = layer.number('Protocol Type', 2, hex16, ethertypeName);
  layer.number('Reserved', 2);
  const index = layer.number('Interface Index', 4);
  layer.number('ARPHRD Type', 2, String, (value) => ARPHRD_NAMES.get(value));
  const type = layer.number('Packet Type', 1, String, (value) => PACKET_TYPES[value]);
  const length = layer.number('Link-Layer Address Length', 1, String, inBytes);
  linkAddress(layer, length);
  if (layer.short) return layer.cutHeader(20);
  layer.summary = `${PACKET_TYPES[type] ?? `packet type ${type}`}, interface ${index}`;
  return carriesEthertype(layer, protocol);
}

/** Eight bytes, of which the first `length` are the address. */
function linkAddress(layer: LayerReader, length: number): void {
  layer.text('Link-Layer Address', 8, (data, at) => hexOf(data, at, Math.min(length, 8)) || 'none');
}

/** Address families: IPv4 has one number, IPv6 one per system (Linux, Windows, NetBSD, FreeBSD, macOS). */
const AF_INET = 2;
const AF_INET6: readonly number[] = [10, 23, 24, 28, 30];

/** The family in the byte order of who captured: it is small, so the smaller of the two readings is meant. */
export function dissectNull(layer: LayerReader): Step {
  const family = layer.packed(4, (value) => [
    ['Protocol Family', String(nativeFamily(value)), familyNote(nativeFamily(value))],
  ]);
  return carriesFamily(layer, nativeFamily(family));
}

export function dissectLoop(layer: LayerReader): Step {
  return carriesFamily(layer, layer.number('Protocol Family', 4, String, familyNote));
}

function nativeFamily(value: number): number {
  const swapped = (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
  return Math.min(value, swapped >>> 0);
}

function familyNote(family: number): string {
  const kind = familyKind(family);
  return kind === 'ipv4' ? 'IPv4' : kind === 'ipv6' ? 'IPv6' : 'not known here';
}

function familyKind(family: number): Kind {
  if (family === AF_INET) return 'ipv4';
  return AF_INET6.includes(family) ? 'ipv6' : 'payload';
}

function carriesFamily(layer: LayerReader, family: number): Step {
  if (layer.short) return layer.cutHeader(4);
  layer.summary = `family ${family}`;
  return layer.carries(familyKind(family));
}
