import { GUE_HEADER, GUE_HOP, GUE_PRIVATE } from '../../wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6 } from '../../wire/ip.js';
import { ipKind } from './ip.js';
import type { LayerReader, Step } from './layer-reader.js';
import { protocolName } from './protocols.js';
import { bytesText, hex16 } from './text.js';

/**
 * Generic UDP Encapsulation (draft-ietf-intarea-gue-09) with the list of hops as its private data: see `wire/gue.ts`.
 */

/** In the private data's first byte. */
const FORWARD_SYN = 0x08;
const LAST_HOP_GRE = 0x04;

export function dissectGue(layer: LayerReader): Step {
  const variant = layer.left > 0 ? layer.data.getUint8(layer.start) >>> 6 : 0;
  if (variant === 1) return dissectVariant1(layer);
  const first = layer.packed(1, (value) => [
    ['Variant', String(value >>> 6)],
    ['C', String((value >>> 5) & 1), value & 0x20 ? 'a control message' : 'a data message'],
    ['Hlen', String(value & 0x1f), `${bytesText((value & 0x1f) << 2)} behind the first four`],
  ]);
  const isControl = (first & 0x20) !== 0;
  const protocol = layer.number(isControl ? 'Ctype' : 'Proto', 1, String, (value) =>
    isControl ? undefined : protocolName(value),
  );
  const flags = layer.number('Flags', 2, hex16);
  if (layer.short) return layer.cutHeader(GUE_HEADER);
  if (variant !== 0) {
    layer.problem(`variant ${variant} is not known`);
    return layer.carries('payload');
  }
  if (isControl) layer.problem('a control message');
  if (flags !== 0) layer.problem(`flags ${hex16(flags)} are not known here`);
  const end = layer.start + GUE_HEADER + ((first & 0x1f) << 2);
  if (isControl || flags !== 0) {
    // Flags have fields of their own in front of the private data, whose lengths only their definitions tell.
    layer.bytes('Optional fields and private data', end - layer.at);
  } else {
    readHopList(layer, end);
  }
  if (layer.short) return layer.cutHeader(end - layer.start);
  if (isControl) return layer.carries('payload');
  if (protocol === IP_PROTOCOL_IPIP) return layer.carries('ipv4');
  if (protocol === IP_PROTOCOL_IPV6) return layer.carries('ipv6');
  layer.problem(`protocol ${protocol} is neither IPv4 nor IPv6`);
  return layer.carries('payload', layer.limit, protocolName(protocol));
}

/** @param end one past the private data by Hlen */
function readHopList(layer: LayerReader, end: number): void {
  if (end - layer.at < GUE_PRIVATE) {
    layer.problem('no list of hops: Hlen is 0');
    return;
  }
  const first = layer.packed(1, (value) => [
    ['Version', String(value >>> 4), value >>> 4 ? 'must be 0' : undefined],
    ['S', String((value >>> 3) & 1), value & FORWARD_SYN ? 'a SYN goes on to the next hop too' : undefined],
    ['G', String((value >>> 2) & 1), value & LAST_HOP_GRE ? 'GRE for the last step' : undefined],
    ['Unused', String(value & 3), value & 3 ? 'must be 0' : undefined],
  ]);
  const reserved = layer.number('Reserved', 1, String, (value) => (value ? 'must be 0' : undefined));
  const nextHop = layer.number('Next Hop', 1);
  const hopCount = layer.number('Hop Count', 1);
  if (layer.short) return;
  if (first >>> 4 !== 0) layer.problem(`private data version ${first >>> 4} is not known`);
  if ((first & 3) !== 0 || reserved !== 0) layer.problem('reserved bits of the private data are set');
  const room = (end - layer.at) / GUE_HOP;
  if (room !== hopCount) layer.problem(`Hlen leaves room for ${room} hops, the hop count is ${hopCount}`);
  if (nextHop > hopCount) layer.problem(`next hop is ${nextHop}, the hop count ${hopCount}`);
  const hops: string[] = [];
  for (let hop = 0; hop < Math.min(room, hopCount); hop++) {
    const note = hop < nextHop ? 'tried' : hop === nextHop ? 'next' : undefined;
    hops.push(layer.ipv4Address(`Hop ${hop}`, note));
  }
  layer.bytes('Private data behind the list', end - layer.at);
  if (layer.short) return;
  layer.summary = hopListText(hops, nextHop);
  if (first & FORWARD_SYN) layer.summary += ' forward-syn';
  if (first & LAST_HOP_GRE) layer.summary += ' last-hop-gre';
}

/** `hops [10.0.2.1 *10.0.3.1]`, with a star at the one to try next. */
function hopListText(hops: readonly string[], nextHop: number): string {
  if (hops.length === 0) return 'no hops';
  const shown = hops.map((hop, index) => (index === nextHop ? `*${hop}` : hop));
  return `hops [${shown.join(' ')}]${nextHop >= hops.length ? ' at the last one' : ''}`;
}

/** Variant 1: the first bits are those of the IP header that takes the GUE header's place. */
function dissectVariant1(layer: LayerReader): Step {
  layer.summary = 'variant 1';
  return layer.carries(ipKind(layer.place));
}
