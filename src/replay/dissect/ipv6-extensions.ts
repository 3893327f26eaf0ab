import { formatIpv6 } from '../../wire/address.js';
import { IPV6_FRAGMENT_HEADER } from '../../wire/ipv6.js';
import { carriesProtocol, fragmentText } from './ip.js';
import type { LayerReader, Step } from './layer-reader.js';
import { protocolName } from './protocols.js';
import { bytesText, hex16, hex32, hexNumber } from './text.js';

/**
 * The headers between an IPv6 header and the transport's, each a layer that carries all that follows.
 *
 * Sources: RFC 8200 section 4; RFC 8754 (segment routing); RFC 4302 (AH, over IPv4 too); RFC 6275, RFC 7401 and
 * RFC 5533 for the headers of which only the length is read here.
 */

/** Next Header and Hdr Ext Len, which counts 8-byte units beyond the first. @returns both, in bytes */
function readStart(layer: LayerReader): { next: number; length: number } {
  const next = layer.number('Next Header', 1, String, protocolName);
  const units = layer.number('Hdr Ext Len', 1, String, (value) => bytesText((value + 1) << 3));
  return { next, length: (units + 1) << 3 };
}

/** Hop-by-hop and destination options. */
export function dissectIpv6Options(layer: LayerReader): Step {
  const { next, length } = readStart(layer);
  readOptions(layer, layer.start + length);
  return finish(layer, next, length);
}

export function dissectRouting(layer: LayerReader): Step {
  const { next, length } = readStart(layer);
  const type = layer.number('Routing Type', 1, String, (value) => ROUTING_TYPES.get(value));
  const left = layer.number('Segments Left', 1);
  if (!layer.short) layer.summary = `type ${type} segments left ${left}`;
  readRoute(layer, type, layer.start + length);
  const step = finish(layer, next, length);
  // Checksums are computed with the final destination, which is not yet the one in the header.
  const { ip } = layer.place;
  return left === 0 || ip === null ? step : { ...step, ip: { ...ip, routed: true } };
}

export function dissectFragment(layer: LayerReader): Step {
  const next = layer.number('Next Header', 1, String, protocolName);
  layer.number('Reserved', 1);
  const offsetAndMore = layer.packed(2, (value) => [
    ['Fragment Offset', String(value >>> 3), value >>> 3 ? bytesText(value & 0xfff8) : undefined],
    ['Res', String((value >>> 1) & 3)],
    ['M', String(value & 1), value & 1 ? 'more to come' : 'the last one'],
  ]);
  const id = layer.number('Identification', 4, hex32);
  if (layer.short) return layer.cutHeader(IPV6_FRAGMENT_HEADER);
  const offset = offsetAndMore & 0xfff8;
  layer.summary = fragmentText(id, 4, offset, (offsetAndMore & 1) !== 0);
  if (offset !== 0) return layer.carries('payload', layer.limit, protocolName(next));
  const step = carriesProtocol(layer, next, 6, layer.limit);
  // The rest of the datagram is in other packets.
  return offsetAndMore & 1 ? { ...step, missing: Infinity } : step;
}

/** Mobility, host identity and shim6 headers: their insides are left as they are. */
export function dissectIpv6Extension(layer: LayerReader): Step {
  layer.protocol = layer.place.name;
  const { next, length } = readStart(layer);
  layer.bytes('Data', length - 2);
  return finish(layer, next, length);
}

/** The authentication header, which counts 4-byte words minus two. */
export function dissectAh(layer: LayerReader): Step {
  const next = layer.number('Next Header', 1, String, protocolName);
  const words = layer.number('Payload Len', 1, String, (value) => bytesText((value + 2) << 2));
  layer.number('Reserved', 2, hex16);
  const spi = layer.number('Security Parameters Index', 4, hex32);
  const sequence = layer.number('Sequence Number', 4);
  if (layer.short) return layer.cutHeader(12);
  layer.summary = `spi ${hex32(spi)} seq ${sequence}`;
  const length = (words + 2) << 2;
  if (length < 12) {
    layer.problem(`payload length says ${bytesText(length)}, a header has at least 12`);
    return layer.carries('payload');
  }
  layer.bytes('Integrity Check Value', length - 12);
  return finish(layer, next, length);
}

function finish(layer: LayerReader, next: number, length: number): Step {
  if (layer.short) return layer.cutHeader(length);
  return carriesProtocol(layer, next, layer.place.ip?.version ?? 0, layer.limit);
}

const PAD1 = 0;
const OPTION_NAMES: ReadonlyMap<number, string> = new Map([
  [PAD1, 'Pad1'],
  [1, 'PadN'],
  [4, 'Tunnel Encapsulation Limit'],
  [5, 'Router Alert'],
  [0x0f, 'Performance and Diagnostic Metrics'],
  [0x26, 'Quick-Start'],
  [0xc2, 'Jumbo Payload'],
  [0xc9, 'Home Address'],
]);

/** Type, length of what follows, data; Pad1 is a single byte. @param end one past the header by its length */
function readOptions(layer: LayerReader, end: number): void {
  const limit = Math.min(end, layer.limit);
  const { data } = layer;
  while (layer.at < limit && !layer.short) {
    const type = data.getUint8(layer.at);
    const name = `Option: ${OPTION_NAMES.get(type) ?? type}`;
    if (type === PAD1) {
      let length = 1;
      while (layer.at + length < limit && data.getUint8(layer.at + length) === PAD1) length++;
      layer.bytes(name, length, length > 1 ? `${length} of them` : undefined);
      continue;
    }
    const length = layer.at + 1 < limit ? 2 + data.getUint8(layer.at + 1) : 2;
    if (layer.at + length > end) {
      layer.problem(`option ${type} is longer than there is room`);
      layer.bytes(name, limit - layer.at, 'its length is wrong');
    } else {
      layer.bytes(name, length);
    }
  }
  layer.bytes('Options', end - layer.at);
}

const RFC5095 = 0;
const MOBILE = 2;
const SEGMENT_ROUTING = 4;
const ROUTING_TYPES: ReadonlyMap<number, string> = new Map([
  [RFC5095, 'source route, deprecated'],
  [MOBILE, 'mobile IPv6'],
  [3, 'RPL'],
  [SEGMENT_ROUTING, 'segment routing'],
]);

function readRoute(layer: LayerReader, type: number, end: number): void {
  if (type === RFC5095 || type === MOBILE) {
    layer.bytes('Reserved', Math.min(4, end - layer.at));
    for (let i = 1; end - layer.at >= 16 && !layer.short; i++) layer.ipv6Address(`Address[${i}]`);
  } else if (type === SEGMENT_ROUTING && end - layer.at >= 4) {
    const last = layer.number('Last Entry', 1);
    layer.number('Flags', 1, hexNumber(1));
    layer.number('Tag', 2, hex16);
    for (let i = 0; i <= last && end - layer.at >= 16 && !layer.short; i++) {
      layer.text(`Segment List[${i}]`, 16, formatIpv6);
    }
  }
  layer.bytes('Type-specific data', end - layer.at);
}
