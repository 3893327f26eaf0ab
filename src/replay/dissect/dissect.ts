import { GUE_PORT } from '../../wire/gue.js';
import { dissectGue } from './gue.js';
import { ipKind } from './ip.js';
import { dissectIpv4 } from './ipv4.js';
import { dissectIpv6 } from './ipv6.js';
import type { Layer } from './layer.js';
import {
  type Dissector,
  type Kind,
  type Knowledge,
  LayerReader,
  type Place,
  type Step,
} from './layer-reader.js';
import {
  dissectEthernet,
  dissectLinuxSll,
  dissectLinuxSll2,
  dissectLoop,
  dissectNull,
  dissectVlan,
} from './link.js';
import { dissectPayload, dissectTrailer } from './payload.js';
import { dissectTcp } from './tcp.js';
import { dissectUdp } from './udp.js';

export type { Field, Layer } from './layer.js';
export { oneLine } from './line.js';
export { tree } from './tree.js';

/** GitHub's GLB listens there for its own variety of the same header. */
export const GLB_PORT = 19523;

/** Deeper nesting is left unread: packets of the wild have five or six headers, one made to tire us has hundreds. */
export const MAX_DEPTH = 32;

export interface DissectOptions {
  /** Another UDP destination port of GUE, besides 6080 and 19523. */
  readonly guePort?: number;
  /** Length of the packet where it was captured, when that is more than `bytes` has: what misses is then no problem. */
  readonly originalLength?: number;
}

/** By LINKTYPE_ number (tcpdump.org). */
const LINK_KINDS: ReadonlyMap<number, Kind> = new Map([
  [0, 'null'],
  [1, 'ethernet'],
  [101, 'ip'],
  [108, 'loop'],
  [113, 'linux-sll'],
  [228, 'ipv4'],
  [229, 'ipv6'],
  [276, 'linux-sll2'],
]);

const DISSECTORS: Readonly<Record<Exclude<Kind, 'ip'>, readonly [protocol: string, dissect: Dissector]>> = {
  ethernet: ['Ethernet', dissectEthernet],
  vlan: ['VLAN', dissectVlan],
  'linux-sll': ['Linux SLL', dissectLinuxSll],
  'linux-sll2': ['Linux SLL2', dissectLinuxSll2],
  null: ['Null', dissectNull],
  loop: ['Loop', dissectLoop],
  ipv4: ['IPv4', dissectIpv4],
  ipv6: ['IPv6', dissectIpv6],
  tcp: ['TCP', dissectTcp],
  udp: ['UDP', dissectUdp],
  gue: ['GUE', dissectGue],
  payload: ['Payload', dissectPayload],
};

/**
 * Takes a packet apart, whatever its bytes are: it never throws, and the same bytes always give the same layers.
 * @param linkType LINKTYPE_ number; of one that is not known here everything is payload
 * @returns the layers in the order of their first bytes; none for an empty packet
 */
export function dissect(bytes: Uint8Array, linkType: number, options: DissectOptions = {}): Layer[] {
  const knowledge: Knowledge = { guePorts: new Set([GUE_PORT, GLB_PORT, options.guePort ?? GUE_PORT]) };
  const place: Place = {
    data: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    start: 0,
    limit: bytes.length,
    cut: (options.originalLength ?? 0) > bytes.length,
    quoted: false,
    ip: null,
    name: '',
    knowledge,
  };
  const layers: Layer[] = [];
  const kind = LINK_KINDS.get(linkType);
  if (kind === undefined) descend({ ...place, name: `Link type ${linkType}` }, 'payload', layers, 0);
  else descend(place, kind, layers, 0);
  return layers;
}

/** Reads one layer, all that it carries, and what is left of the place behind it. */
function descend(place: Place, asked: Kind, layers: Layer[], depth: number): void {
  if (place.start >= place.limit) return;
  const tooDeep = depth === MAX_DEPTH && asked !== 'payload';
  const kind = tooDeep ? 'payload' : asked === 'ip' ? ipKind(place) : asked;
  const [protocol, read] = DISSECTORS[kind];
  const reader = new LayerReader(place, protocol);
  const step = read(reader);
  if (tooDeep) reader.problem(`nested deeper than ${MAX_DEPTH} layers: left unread`);
  layers.push(reader.layer(step.end));
  if (step.payload < step.end) descend(inside(place, step), step.next, layers, depth + 1);
  if (step.end < place.limit) trail(place, step.end, layers);
}

function inside(place: Place, step: Step): Place {
  return {
    ...place,
    start: step.payload,
    limit: step.end,
    cut: step.cut,
    quoted: place.quoted || step.quotes === true,
    ip: step.ip === undefined ? place.ip : step.ip,
    name: step.name ?? '',
  };
}

/** Bytes behind what a length field announced. */
function trail(place: Place, start: number, layers: Layer[]): void {
  const reader = new LayerReader({ ...place, start }, 'Trailer');
  dissectTrailer(reader);
  layers.push(reader.layer(place.limit));
}
