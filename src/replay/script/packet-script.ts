import { parseIpv4 } from '../../table/address.js';
import { TableError } from '../../table/errors.js';
import {
  encodeGueHopsInto,
  GUE_HEADER,
  GUE_HOP,
  GUE_MAX_HOPS,
  GUE_PORT,
  GUE_PRIVATE,
} from '../../wire/gue.js';
import {
  ICMP_AT_CODE,
  ICMP_AT_REST,
  ICMP_AT_TYPE,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_HEADER,
} from '../../wire/icmp.js';
import { ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST } from '../../wire/icmpv6.js';
import {
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
} from '../../wire/ip.js';
import { encodeTcpInto, TCP_HEADER } from '../../wire/tcp.js';
import { encodeUdpInto, UDP_HEADER } from '../../wire/udp.js';
import { TCP_FLAG_NAMES } from '../words.js';
import { ICMP_ERROR_NAMES, icmpErrorOf } from './icmp-names.js';
import { addressBytes, type IpSettings, ipPacket, isIpv6 } from './ip-layer.js';
import { Tokens } from './tokens.js';

/**
 * Packets as people write them, one per line; made into bytes with all lengths and checksums right.
 *
 * ```
 * tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN seq 1000
 * tcp [2001:db8::7]:40000 > [2001:db8:100::1]:80 ACK data "hello" ext hop-by-hop
 * udp 198.51.100.7:5000 > 192.0.2.1:53 data 600 fragment 0+ id 7
 * esp 198.51.100.7 > 192.0.2.1 data 0xc001020300000001
 * icmp echo 198.51.100.7 > 192.0.2.1
 * icmp fragmentation-needed 203.0.113.1 > 192.0.2.1 mtu 1400 about ( tcp 192.0.2.1:80 > 198.51.100.7:40000 ACK )
 * gue 10.0.2.1 > 10.0.1.1 hops 10.0.3.1 ( tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK )
 * hex 4500001c...
 * ```
 *
 * Every packet may end in `poke OFFSET HEX` (overwrite bytes, leave checksums), `cut N` (keep the first N bytes) and
 * `pad N` (N zero bytes behind it).
 */

/** @returns the packet from its IP header on. @throws PacketScriptError saying where the line is wrong */
export function parsePacket(line: string): Uint8Array {
  const tokens = new Tokens(line);
  const bytes = packet(tokens);
  if (!tokens.atEnd) throw tokens.error('expected the end of the packet');
  return bytes;
}

function packet(tokens: Tokens): Uint8Array {
  const kind = tokens.take('tcp, udp, esp, icmp, gue or hex');
  switch (kind) {
    case 'tcp':
    case 'udp':
      return damaged(tokens, transport(tokens, kind));
    case 'esp':
      return damaged(tokens, esp(tokens));
    case 'icmp':
      return damaged(tokens, icmp(tokens));
    case 'gue':
      return damaged(tokens, gue(tokens));
    case 'hex':
      return damaged(tokens, Uint8Array.from(tokens.hex('the packet')));
    default:
      throw tokens.errorBefore('expected tcp, udp, esp, icmp, gue or hex');
  }
}

function transport(tokens: Tokens, kind: 'tcp' | 'udp'): Uint8Array {
  const [source, sourcePort] = endpoint(tokens);
  tokens.expect('>');
  const [destination, destinationPort] = endpoint(tokens);
  const ip = newIp(tokens, source, destination);
  let flags = 0;
  let sequence = 1000;
  let acknowledgment = 0;
  let payload: Uint8Array = new Uint8Array(0);
  for (;;) {
    const word = tokens.peek;
    const named = TCP_FLAG_NAMES.indexOf(word);
    if (word === 'data') payload = dataOf(tokens);
    else if (kind === 'tcp' && named > 0 && tokens.accept(word)) flags = named;
    else if (kind === 'tcp' && tokens.accept('seq')) sequence = tokens.number('seq', 0, 0xffffffff);
    else if (kind === 'tcp' && tokens.accept('ack')) acknowledgment = tokens.number('ack', 0, 0xffffffff);
    else if (!ipAttribute(tokens, ip)) break;
  }
  const protocol = kind === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
  // What follows in a later fragment is the middle of a datagram: no header.
  if (ip.fragment !== null && ip.fragment.offset > 0) return ipPacket(ip, protocol, payload);
  const headerLength = kind === 'tcp' ? TCP_HEADER : UDP_HEADER;
  const segment = new Uint8Array(headerLength + payload.length);
  const data = new DataView(segment.buffer);
  if (kind === 'tcp') encodeTcpInto(data, 0, sourcePort, destinationPort, sequence, acknowledgment, flags);
  else encodeUdpInto(data, 0, sourcePort, destinationPort, segment.length);
  segment.set(payload, headerLength);
  return ipPacket(ip, protocol, segment);
}

function esp(tokens: Tokens): Uint8Array {
  const source = address(tokens);
  tokens.expect('>');
  const ip = newIp(tokens, source, address(tokens));
  let payload: Uint8Array = new Uint8Array(0);
  for (;;) {
    if (tokens.peek === 'data') payload = dataOf(tokens);
    else if (!ipAttribute(tokens, ip)) break;
  }
  return ipPacket(ip, IP_PROTOCOL_ESP, payload);
}

function icmp(tokens: Tokens): Uint8Array {
  const name = tokens.take(`an ICMP message: ${ICMP_ERROR_NAMES.join(', ')}, echo or echo-reply`);
  const isEcho = name === 'echo' || name === 'echo-reply';
  if (!isEcho && !ICMP_ERROR_NAMES.includes(name)) {
    throw tokens.errorBefore(`expected ${ICMP_ERROR_NAMES.join(', ')}, echo or echo-reply`);
  }
  const source = address(tokens);
  tokens.expect('>');
  const destination = address(tokens);
  const ip = newIp(tokens, source, destination);
  const v6 = isIpv6(source);
  let mtu = 0;
  let code: number | null = null;
  let identifier = 1;
  let sequence = 1;
  let payload: Uint8Array = new Uint8Array(0);
  for (;;) {
    if (tokens.accept('mtu')) mtu = tokens.number('mtu', 0, 0xffff);
    else if (tokens.accept('code')) code = tokens.number('code', 0, 255);
    else if (isEcho && tokens.accept('ident')) identifier = tokens.number('ident', 0, 0xffff);
    else if (isEcho && tokens.accept('seq')) sequence = tokens.number('seq', 0, 0xffff);
    else if (tokens.peek === 'data') payload = dataOf(tokens);
    else if (!isEcho && tokens.accept('about')) payload = inParentheses(tokens);
    else if (!ipAttribute(tokens, ip)) break;
  }
  const echoType =
    name === 'echo'
      ? v6
        ? ICMPV6_ECHO_REQUEST
        : ICMP_ECHO_REQUEST
      : v6
        ? ICMPV6_ECHO_REPLY
        : ICMP_ECHO_REPLY;
  const kind = isEcho ? { type: echoType, code: 0 } : icmpErrorOf(name, v6);
  if (kind === undefined) throw tokens.error(`${name} does not exist in ICMP${v6 ? 'v6' : ''}`);
  // Both families lay their messages out alike; the checksum is written with the packet's.
  const message = new Uint8Array(ICMP_HEADER + payload.length);
  const data = new DataView(message.buffer);
  data.setUint8(ICMP_AT_TYPE, kind.type);
  data.setUint8(ICMP_AT_CODE, code ?? kind.code);
  data.setUint32(ICMP_AT_REST, isEcho ? (identifier << 16) | sequence : mtu);
  message.set(payload, ICMP_HEADER);
  return ipPacket(ip, v6 ? IP_PROTOCOL_ICMPV6 : IP_PROTOCOL_ICMP, message);
}

function gue(tokens: Tokens): Uint8Array {
  const source = address(tokens);
  tokens.expect('>');
  const destination = address(tokens);
  const ip = newIp(tokens, source, destination);
  const hops: number[] = [];
  let nextHop = 0;
  let forwardSyn = 0;
  let lastHopGre = 0;
  let sport = 0x8000;
  let port = GUE_PORT;
  for (;;) {
    if (tokens.accept('hops')) {
      while (/^\d+\./.test(tokens.peek) && hops.length < GUE_MAX_HOPS) hops.push(parseIpv4(address(tokens)));
    } else if (tokens.accept('next')) nextHop = tokens.number('next', 0, 255);
    else if (tokens.accept('forward-syn')) forwardSyn = 1;
    else if (tokens.accept('last-hop-gre')) lastHopGre = 1;
    else if (tokens.accept('sport')) sport = tokens.number('sport', 0, 0xffff);
    else if (tokens.accept('port')) port = tokens.number('port', 0, 0xffff);
    else if (!ipAttribute(tokens, ip)) break;
  }
  const inner = inParentheses(tokens);
  const header = UDP_HEADER + GUE_HEADER + GUE_PRIVATE + GUE_HOP * hops.length;
  const datagram = new Uint8Array(header + inner.length);
  const data = new DataView(datagram.buffer);
  const protocol = inner[0] >>> 4 === 6 ? IP_PROTOCOL_IPV6 : IP_PROTOCOL_IPIP;
  encodeUdpInto(data, 0, sport, port, datagram.length);
  encodeGueHopsInto(data, UDP_HEADER, protocol, hops, nextHop, forwardSyn, lastHopGre);
  datagram.set(inner, header);
  const bytes = ipPacket(ip, IP_PROTOCOL_UDP, datagram);
  // Tunnels over IPv4 send no UDP checksum (RFC 6935 tells why).
  const at = bytes.length - datagram.length + 6;
  bytes[at] = 0;
  bytes[at + 1] = 0;
  return bytes;
}

function inParentheses(tokens: Tokens): Uint8Array {
  tokens.expect('(');
  const inner = packet(tokens);
  tokens.expect(')');
  return inner;
}

function damaged(tokens: Tokens, whole: Uint8Array): Uint8Array {
  let bytes = whole;
  for (;;) {
    if (tokens.accept('poke')) {
      const at = tokens.number('offset', 0, bytes.length - 1);
      const poked = tokens.hex('the bytes');
      if (at + poked.length > bytes.length) throw tokens.errorBefore('expected bytes that end in the packet');
      bytes.set(poked, at);
    } else if (tokens.accept('cut')) {
      bytes = bytes.slice(0, tokens.number('length', 0, bytes.length));
    } else if (tokens.accept('pad')) {
      bytes = Uint8Array.from([...bytes, ...new Uint8Array(tokens.number('length', 0, 1500))]);
    } else {
      return bytes;
    }
  }
}

function newIp(tokens: Tokens, source: string, destination: string): IpSettings {
  if (isIpv6(source) !== isIpv6(destination)) throw tokens.errorBefore('the addresses are of two families');
  return {
    source,
    destination,
    ttl: 64,
    tos: 0,
    identification: 0,
    flowLabel: 0,
    optionsLength: 0,
    extensions: [],
    fragment: null,
  };
}

/** Takes one attribute of the IP header, if one is next. */
function ipAttribute(tokens: Tokens, ip: IpSettings): boolean {
  if (tokens.accept('ttl')) ip.ttl = tokens.number('ttl', 0, 255);
  else if (tokens.accept('tos')) ip.tos = tokens.number('tos', 0, 255);
  else if (tokens.accept('id')) ip.identification = tokens.number('id', 0, 0xffff);
  else if (tokens.accept('flow-label')) ip.flowLabel = tokens.number('flow-label', 0, 0xfffff);
  else if (tokens.accept('options')) ip.optionsLength = 4 * Math.ceil(tokens.number('options', 0, 40) / 4);
  else if (tokens.accept('ext')) {
    const name = tokens.take('hop-by-hop or destination');
    if (name !== 'hop-by-hop' && name !== 'destination')
      throw tokens.errorBefore('expected hop-by-hop or destination');
    ip.extensions.push(name);
  } else if (tokens.accept('fragment')) {
    const match = /^(\d{1,5})(\+?)$/.exec(tokens.take('a fragment offset like 0+ or 1480'));
    const offset = Number(match?.[1] ?? 1);
    if (offset % 8 !== 0 || offset > 65528)
      throw tokens.errorBefore('expected a fragment offset in bytes, a multiple of 8, + for more fragments');
    ip.fragment = { offset, more: match?.[2] === '+' };
  } else return false;
  return true;
}

/** `data 100`, `data "text"` or `data 0x4142`. */
function dataOf(tokens: Tokens): Uint8Array {
  tokens.expect('data');
  if (tokens.isQuoted) return Buffer.from(tokens.take('data'), 'utf8');
  const word = tokens.peek;
  if (/^0x/.test(word)) {
    const text = tokens.take('data').slice(2);
    if (/^([0-9a-f]{2})+$/i.test(text)) return Buffer.from(text, 'hex');
    throw tokens.errorBefore('expected data in pairs of hexadecimal digits');
  }
  return new Uint8Array(tokens.number('data', 0, 65_000)).fill(0x5a);
}

function address(tokens: Tokens): string {
  const text = tokens.take('an address').replace(/^\[(.*)\]$/, '$1');
  return checked(tokens, text);
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
function endpoint(tokens: Tokens): [string, number] {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(tokens.take('ADDRESS:PORT'));
  const port = Number(match?.[3] ?? Number.NaN);
  if (match === null || !(port <= 65535)) throw tokens.errorBefore('expected ADDRESS:PORT');
  return [checked(tokens, match[1] ?? match[2]), port];
}

function checked(tokens: Tokens, text: string): string {
  try {
    addressBytes(text);
    return text;
  } catch (error) {
    if (error instanceof TableError) throw tokens.errorBefore('expected an address');
    throw error;
  }
}
