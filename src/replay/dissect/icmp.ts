import { checksum } from '../../wire/checksum.js';
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER,
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
} from '../../wire/icmp.js';
import { IP_PROTOCOL_ICMP } from '../../wire/ip.js';
import { transportChecksumNote, wrongChecksum } from './checksum-note.js';
import type { LayerReader, Step } from './layer-reader.js';
import { bytesText, hex16, inBytes } from './text.js';

/**
 * ICMP for IPv4 (RFC 792; next-hop MTU: RFC 1191; the length of the quote and what may follow it: RFC 4884).
 */

const SOURCE_QUENCH = 4;
const REDIRECT = 5;
const TIMESTAMP_REQUEST = 13;
const TIMESTAMP_REPLY = 14;

const TYPES: ReadonlyMap<number, string> = new Map([
  [ICMP_ECHO_REPLY, 'echo reply'],
  [ICMP_DESTINATION_UNREACHABLE, 'destination unreachable'],
  [SOURCE_QUENCH, 'source quench'],
  [REDIRECT, 'redirect'],
  [ICMP_ECHO_REQUEST, 'echo request'],
  [9, 'router advertisement'],
  [10, 'router solicitation'],
  [ICMP_TIME_EXCEEDED, 'time exceeded'],
  [ICMP_PARAMETER_PROBLEM, 'parameter problem'],
  [TIMESTAMP_REQUEST, 'timestamp'],
  [TIMESTAMP_REPLY, 'timestamp reply'],
]);

/** The codes of a type, in their order. */
const CODES: ReadonlyMap<number, readonly string[]> = new Map([
  [
    ICMP_DESTINATION_UNREACHABLE,
    [
      'net unreachable',
      'host unreachable',
      'protocol unreachable',
      'port unreachable',
      'fragmentation needed',
      'source route failed',
      'destination network unknown',
      'destination host unknown',
      'source host isolated',
      'network administratively prohibited',
      'host administratively prohibited',
      'network unreachable for TOS',
      'host unreachable for TOS',
      'administratively prohibited',
      'host precedence violation',
      'precedence cutoff in effect',
    ],
  ],
  [REDIRECT, ['for the network', 'for the host', 'for TOS and network', 'for TOS and host']],
  [ICMP_TIME_EXCEEDED, ['TTL exceeded', 'fragment reassembly time exceeded']],
  [ICMP_PARAMETER_PROBLEM, ['pointer indicates the error', 'missing a required option', 'bad length']],
]);

const QUOTING: ReadonlySet<number> = new Set([
  ICMP_DESTINATION_UNREACHABLE,
  SOURCE_QUENCH,
  REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETER_PROBLEM,
]);

export function dissectIcmp(layer: LayerReader): Step {
  const type = layer.number('Type', 1, String, (value) => TYPES.get(value));
  const code = layer.number('Code', 1, String, (value) => CODES.get(type)?.[value]);
  layer.number('Checksum', 2, hex16, (value) => transportChecksumNote(layer, IP_PROTOCOL_ICMP, value));
  const said = CODES.get(type)?.[code] ?? TYPES.get(type) ?? `type ${type} code ${code}`;
  if (!layer.short) layer.summary = type === REDIRECT ? `redirect ${said}` : said;
  if (layer.place.ip?.version === 6) layer.problem('ICMP for IPv4 in an IPv6 packet');
  const quoteLength = readRest(layer, type, code);
  if (layer.short) return layer.cutHeader(ICMP_HEADER);
  if (!QUOTING.has(type)) return layer.carries('payload');
  return carriesQuote(layer, quoteLength);
}

/** The second word (and what timestamps have behind it). @returns the length of the quote in bytes, 0 where untold */
function readRest(layer: LayerReader, type: number, code: number): number {
  switch (type) {
    case ICMP_ECHO_REQUEST:
    case ICMP_ECHO_REPLY:
      readEcho(layer);
      return 0;
    case ICMP_DESTINATION_UNREACHABLE: {
      layer.number('Unused', 1);
      const words = readQuoteLength(layer, 4);
      if (code === ICMP_FRAGMENTATION_NEEDED) {
        layer.summary += ` mtu ${layer.number('Next-Hop MTU', 2, String, inBytes)}`;
      } else {
        layer.number('Unused', 2);
      }
      return words;
    }
    case ICMP_TIME_EXCEEDED: {
      layer.number('Unused', 1);
      const words = readQuoteLength(layer, 4);
      layer.number('Unused', 2);
      return words;
    }
    case ICMP_PARAMETER_PROBLEM: {
      layer.number('Pointer', 1);
      const words = readQuoteLength(layer, 4);
      layer.number('Unused', 2);
      return words;
    }
    case REDIRECT:
      layer.summary += ` to ${layer.ipv4Address('Gateway Internet Address')}`;
      return 0;
    case TIMESTAMP_REQUEST:
    case TIMESTAMP_REPLY:
      readEcho(layer);
      layer.number('Originate Timestamp', 4);
      layer.number('Receive Timestamp', 4);
      layer.number('Transmit Timestamp', 4);
      return 0;
    default:
      layer.bytes('Rest of Header', 4);
      return 0;
  }
}

export function readEcho(layer: LayerReader): void {
  const identifier = layer.number('Identifier', 2);
  const sequence = layer.number('Sequence Number', 2);
  if (!layer.short) layer.summary += ` id ${identifier} seq ${sequence} length ${layer.announced}`;
}

/** RFC 4884 section 4: in units of 4 bytes for ICMP and of 8 for ICMPv6; 0 from all who send no extensions. */
export function readQuoteLength(layer: LayerReader, unit: number): number {
  const note = (value: number) => (value === 0 ? 'to the end' : bytesText(value * unit));
  return layer.number('Length', 1, String, note) * unit;
}

/** @param length of the quote in bytes; 0 where it goes to the end */
export function carriesQuote(layer: LayerReader, length: number): Step {
  // The quote is what it is; missing bytes are no problem of who quoted it.
  const whole: Step = { ...layer.carries('ip'), missing: Infinity, quotes: true };
  if (length === 0 || layer.at + length >= layer.limit) return whole;
  return { ...whole, end: layer.at + length, behind: 'icmp-extensions' };
}

const OBJECT_CLASSES: ReadonlyMap<number, string> = new Map([
  [1, 'MPLS label stack'],
  [2, 'interface information'],
  [3, 'interface identification'],
]);

/** RFC 4884 section 7: a header with a checksum of its own, then objects with a length, a class and a type each. */
export function dissectIcmpExtensions(layer: LayerReader): Step {
  const { data, start, limit } = layer;
  layer.packed(2, (value) => [
    ['Version', String(value >>> 12)],
    ['Reserved', String(value & 0xfff)],
  ]);
  layer.number('Checksum', 2, hex16, (value) => {
    if (value === 0) return 'none';
    if (layer.place.missing > 0) return 'not checked: bytes are missing';
    if (checksum(data, start, limit - start) === 0) return 'correct';
    return wrongChecksum(layer, hex16(checksum(data, start, limit - start, ~value & 0xffff)));
  });
  while (layer.left > 0 && !layer.short) {
    const length = layer.number('Object Length', 2, String, inBytes);
    layer.number('Class-Num', 1, String, (value) => OBJECT_CLASSES.get(value));
    layer.number('C-Type', 1);
    if (length < 4 && !layer.short) {
      layer.problem('an object is shorter than its own header');
      break;
    }
    layer.bytes('Object Payload', length - 4);
  }
  if (layer.short) return layer.cutHeader(4);
  return layer.carries('payload');
}
