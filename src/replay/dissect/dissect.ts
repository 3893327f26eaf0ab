import { GUE_PORT } from '../../wire/gue.js';
import { LINKTYPE } from '../../wire/link.js';
import { dissectArp } from './arp.js';
import { dissectEsp } from './esp.js';
import { dissectGre } from './gre.js';
import { dissectGue } from './gue.js';
import { dissectIcmp, dissectIcmpExtensions } from './icmp.js';
import { dissectIcmpv6 } from './icmpv6.js';
import { ipKind } from './ip.js';
import { dissectIpv4 } from './ipv4.js';
import { dissectIpv6 } from './ipv6.js';
import {
  dissectAh,
  dissectFragment,
  dissectIpv6Extension,
  dissectIpv6Options,
  dissectRouting,
} from './ipv6-extensions.js';
import type { Layer } from './layer.js';
import { type Dissector, type Kind, LayerReader, type Place, type Step } from './layer-reader.js';
import {
  dissectEthernet,
  dissectLinuxSll,
  dissectLinuxSll2,
  dissectLoop,
  dissectNull,
  dissectVlan,
} from './link.js';
import { dissectPayload, dissectTrailer } from './payload.js';
import { dissectQuic } from './quic.js';
import { dissectTcp } from './tcp.js';
import { dissectUdp } from './udp.js';
import { dissectWireguard } from './wireguard.js';

export type { Field, Layer } from './layer.js';
export { oneLine } from './line.js';
export type { Paint } from './paint.js';
export { tree } from './tree.js';

/** GitHub's GLB listens there for its own variety of the same header. */
export const GLB_PORT = 19523;

/** Packets of the wild have five or six headers around one another; one made to tire us has hundreds. */
export const MAX_DEPTH = 32;
/** The same for headers one behind the other: many small QUIC packets in one datagram. */
export const MAX_LAYERS = 128;

export interface DissectOptions {
  /** Another UDP destination port of GUE, besides 6080 and 19523. */
  readonly guePort?: number;
  /** Length of the destination connection IDs in QUIC short headers, in bytes, where it is known. */
  readonly quicCidLength?: number;
  /** Length of the packet where it was captured: when `bytes` has less, what misses was cut off and is no problem. */
  readonly originalLength?: number;
}

const LINK_KINDS: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [LINKTYPE.NULL, 'null'],
  [LINKTYPE.ETHERNET, 'ethernet'],
  [LINKTYPE.RAW_DLT, 'ip'],
  [LINKTYPE.RAW_DLT_OPENBSD, 'ip'],
  [LINKTYPE.RAW, 'ip'],
  [LINKTYPE.LOOP, 'loop'],
  [LINKTYPE.LINUX_SLL, 'linux-sll'],
  [LINKTYPE.IPV4, 'ipv4'],
  [LINKTYPE.IPV6, 'ipv6'],
  [LINKTYPE.LINUX_SLL2, 'linux-sll2'],
]);

const DISSECTORS: Readonly<Record<Exclude<Kind, 'ip'>, readonly [protocol: string, dissect: Dissector]>> = {
  ah: ['AH', dissectAh],
  arp: ['ARP', dissectArp],
  'destination-options': ['Destination Options', dissectIpv6Options],
  esp: ['ESP', dissectEsp],
  ethernet: ['Ethernet', dissectEthernet],
  fragment: ['Fragment', dissectFragment],
  gre: ['GRE', dissectGre],
  gue: ['GUE', dissectGue],
  'hop-by-hop': ['Hop-by-Hop Options', dissectIpv6Options],
  icmp: ['ICMP', dissectIcmp],
  'icmp-extensions': ['ICMP Extensions', dissectIcmpExtensions],
  icmpv6: ['ICMPv6', dissectIcmpv6],
  ipv4: ['IPv4', dissectIpv4],
  ipv6: ['IPv6', dissectIpv6],
  'ipv6-extension': ['', dissectIpv6Extension],
  'linux-sll': ['Linux SLL', dissectLinuxSll],
  'linux-sll2': ['Linux SLL2', dissectLinuxSll2],
  loop: ['Loop', dissectLoop],
  null: ['Null', dissectNull],
  payload: ['Payload', dissectPayload],
  quic: ['QUIC', dissectQuic],
  routing: ['Routing', dissectRouting],
  tcp: ['TCP', dissectTcp],
  trailer: ['Trailer', dissectTrailer],
  udp: ['UDP', dissectUdp],
  vlan: ['VLAN', dissectVlan],
  wireguard: ['WireGuard', dissectWireguard],
};

/**
 * Takes a packet apart, whatever its bytes are: it never throws, and the same bytes always give the same layers.
 * @param linkType LINKTYPE_ number; of one that is not known here everything is payload
 * @returns the layers in the order of their first bytes, nested as {@link Layer} says; none for an empty packet
 */
export function dissect(bytes: Uint8Array, linkType: number, options: DissectOptions = {}): Layer[] {
  const { guePort = GUE_PORT, quicCidLength = -1, originalLength = 0 } = options;
  const layers: Layer[] = [];
  const kind = LINK_KINDS.get(linkType);
  const place: Place = {
    data: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    start: 0,
    limit: bytes.length,
    missing: Math.max(0, originalLength - bytes.length),
    quoted: false,
    ip: null,
    name: kind === undefined ? `Link type ${linkType}` : '',
    knowledge: { guePorts: [GUE_PORT, GLB_PORT, guePort], quicCidLength },
  };
  read(place, kind ?? 'payload', layers, 0);
  return layers;
}

/** Reads everything in a place: a layer with all that it carries, then what is behind it. */
function read(whole: Place, first: Kind, layers: Layer[], depth: number): void {
  let place = whole;
  let kind = first;
  while (place.start < place.limit) {
    const step = readLayer(place, kind, layers, depth);
    if (step.payload < step.end) read(inside(place, step), step.next, layers, depth + 1);
    place = behind(place, step.end);
    kind = step.behind ?? 'trailer';
  }
}

function readLayer(place: Place, asked: Kind, layers: Layer[], depth: number): Step {
  const kind = asked === 'ip' ? ipKind(place) : asked;
  const isTooMuch = kind !== 'payload' && (depth >= MAX_DEPTH || layers.length >= MAX_LAYERS);
  const [protocol, dissector] = DISSECTORS[isTooMuch ? 'payload' : kind];
  const reader = new LayerReader(isTooMuch ? { ...place, name: '' } : place, protocol);
  const step = dissector(reader);
  if (isTooMuch) reader.problem('too many headers: left unread');
  layers.push(reader.layer(step));
  return step;
}

// Written out: to copy these with a spread takes a third of all the time.

function behind(place: Place, start: number): Place {
  const { data, limit, missing, quoted, ip, name, knowledge } = place;
  return { data, start, limit, missing, quoted, ip, name, knowledge };
}

function inside(place: Place, step: Step): Place {
  const { data, knowledge } = place;
  const { payload: start, end: limit, missing } = step;
  const quoted = place.quoted || step.quotes === true;
  const ip = step.ip ?? place.ip;
  return { data, start, limit, missing, quoted, ip, name: step.name, knowledge };
}
