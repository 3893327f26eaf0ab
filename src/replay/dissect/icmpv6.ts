import {
  ICMPV6_DESTINATION_UNREACHABLE,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HEADER,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_TIME_EXCEEDED,
  isIcmpv6Error,
} from '../../wire/icmpv6.js';
import { IP_PROTOCOL_ICMPV6 } from '../../wire/ip.js';
import { transportChecksumNote } from './checksum-note.js';
import { carriesQuote, readEcho, readQuoteLength } from './icmp.js';
import type { LayerReader, Step } from './layer-reader.js';
import { formatMac, hex16, hexOf, inBytes } from './text.js';

/** ICMPv6 (RFC 4443) with neighbor discovery (RFC 4861). */

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;

const TYPES: ReadonlyMap<number, string> = new Map([
  [ICMPV6_DESTINATION_UNREACHABLE, 'destination unreachable'],
  [ICMPV6_PACKET_TOO_BIG, 'packet too big'],
  [ICMPV6_TIME_EXCEEDED, 'time exceeded'],
  [ICMPV6_PARAMETER_PROBLEM, 'parameter problem'],
  [ICMPV6_ECHO_REQUEST, 'echo request'],
  [ICMPV6_ECHO_REPLY, 'echo reply'],
  [130, 'multicast listener query'],
  [131, 'multicast listener report'],
  [132, 'multicast listener done'],
  [ROUTER_SOLICITATION, 'router solicitation'],
  [ROUTER_ADVERTISEMENT, 'router advertisement'],
  [NEIGHBOR_SOLICITATION, 'neighbor solicitation'],
  [NEIGHBOR_ADVERTISEMENT, 'neighbor advertisement'],
  [137, 'redirect'],
  [143, 'multicast listener report v2'],
]);

/** The codes of a type, in their order. */
const CODES: ReadonlyMap<number, readonly string[]> = new Map([
  [
    ICMPV6_DESTINATION_UNREACHABLE,
    [
      'no route to destination',
      'administratively prohibited',
      'beyond scope of source address',
      'address unreachable',
      'port unreachable',
      'source address failed policy',
      'reject route to destination',
    ],
  ],
  [ICMPV6_TIME_EXCEEDED, ['hop limit exceeded', 'fragment reassembly time exceeded']],
  [
    ICMPV6_PARAMETER_PROBLEM,
    ['erroneous header field', 'unrecognized next header', 'unrecognized IPv6 option'],
  ],
]);

export function dissectIcmpv6(layer: LayerReader): Step {
  const type = layer.number('Type', 1, String, (value) => TYPES.get(value));
  const code = layer.number('Code', 1, String, (value) => CODES.get(type)?.[value]);
  layer.number('Checksum', 2, hex16, (value) => transportChecksumNote(layer, IP_PROTOCOL_ICMPV6, value));
  if (!layer.short) layer.summary = CODES.get(type)?.[code] ?? TYPES.get(type) ?? `type ${type} code ${code}`;
  if (layer.place.ip?.version === 4) layer.problem('ICMPv6 in an IPv4 packet');
  const quoteLength = readRest(layer, type);
  if (layer.short) return layer.cutHeader(ICMPV6_HEADER);
  return isIcmpv6Error(type) ? carriesQuote(layer, quoteLength) : layer.carries('payload');
}

/** The second word, and all of neighbor discovery. @returns the length of the quote in bytes, 0 where untold */
function readRest(layer: LayerReader, type: number): number {
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
    case ICMPV6_ECHO_REPLY:
      readEcho(layer);
      return 0;
    case ICMPV6_PACKET_TOO_BIG:
      layer.summary += ` mtu ${layer.number('MTU', 4, String, inBytes)}`;
      return 0;
    case ICMPV6_PARAMETER_PROBLEM:
      layer.number('Pointer', 4);
      return 0;
    case ICMPV6_DESTINATION_UNREACHABLE:
    case ICMPV6_TIME_EXCEEDED: {
      const length = readQuoteLength(layer, 8);
      layer.number('Unused', 3);
      return length;
    }
    case ROUTER_SOLICITATION:
      layer.number('Reserved', 4);
      readNeighborOptions(layer);
      return 0;
    case ROUTER_ADVERTISEMENT:
      readRouterAdvertisement(layer);
      return 0;
    case NEIGHBOR_SOLICITATION:
      layer.number('Reserved', 4);
      layer.summary += ` who has ${layer.ipv6Address('Target Address')}`;
      readNeighborOptions(layer);
      return 0;
    case NEIGHBOR_ADVERTISEMENT:
      layer.packed(4, (value) => [
        ['R', String(value >>> 31), 'router'],
        ['S', String((value >>> 30) & 1), 'solicited'],
        ['O', String((value >>> 29) & 1), 'override'],
        ['Reserved', String(value & 0x1fffffff)],
      ]);
      layer.summary += ` for ${layer.ipv6Address('Target Address')}`;
      readNeighborOptions(layer);
      return 0;
    default:
      layer.bytes('Message Body', 4);
      return 0;
  }
}

function readRouterAdvertisement(layer: LayerReader): void {
  layer.number('Cur Hop Limit', 1);
  layer.packed(1, (value) => [
    ['M', String(value >>> 7), 'managed address configuration'],
    ['O', String((value >>> 6) & 1), 'other configuration'],
    ['Reserved', String(value & 0x3f)],
  ]);
  layer.number('Router Lifetime', 2, String, () => 'seconds');
  layer.number('Reachable Time', 4, String, () => 'milliseconds');
  layer.number('Retrans Timer', 4, String, () => 'milliseconds');
  readNeighborOptions(layer);
}

const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;
const OPTIONS: ReadonlyMap<number, string> = new Map([
  [SOURCE_LINK_LAYER, 'Source Link-Layer Address'],
  [TARGET_LINK_LAYER, 'Target Link-Layer Address'],
  [3, 'Prefix Information'],
  [4, 'Redirected Header'],
  [5, 'MTU'],
  [14, 'Nonce'],
  [25, 'Recursive DNS Server'],
]);

/** Type, length in units of 8 bytes, data (RFC 4861 section 4.6). */
function readNeighborOptions(layer: LayerReader): void {
  while (layer.left >= 2 && !layer.short) {
    const type = layer.data.getUint8(layer.at);
    const length = layer.data.getUint8(layer.at + 1) << 3;
    if (length === 0) {
      layer.problem('an option of length 0');
      return;
    }
    const isAddress = (type === SOURCE_LINK_LAYER || type === TARGET_LINK_LAYER) && length === 8;
    layer.text(`Option: ${OPTIONS.get(type) ?? type}`, length, (data, at) =>
      isAddress ? formatMac(data, at + 2) : hexOf(data, at, length),
    );
  }
}
