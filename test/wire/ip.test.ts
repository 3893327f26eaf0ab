import { describe, expect, it } from 'vitest';
import {
  FragmentKind,
  IP_PROTOCOL_AH,
  IP_PROTOCOL_ESP,
  IP_PROTOCOL_NONE,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IpPacket,
  MAX_EXTENSION_HEADERS,
} from '../../src/wire/ip.js';
import { encodeIpv4Into, IPV4_DF, IPV4_MF } from '../../src/wire/ipv4.js';
import {
  encodeIpv6FragmentInto,
  encodeIpv6Into,
  IPV6_DESTINATION_OPTIONS,
  IPV6_EXTENSION_NAMES,
  IPV6_FRAGMENT,
  IPV6_HEADER,
  IPV6_HIP,
  IPV6_HOP_BY_HOP,
  IPV6_MOBILITY,
  IPV6_ROUTING,
  IPV6_SHIM6,
  Ipv6View,
} from '../../src/wire/ipv6.js';
import { Reason } from '../../src/wire/reason.js';
import { concat, dataOf, hex } from './bytes.js';
import * as frames from './frames.js';

function parse(bytes: Uint8Array, offset = 0): [Reason, IpPacket] {
  const packet = new IpPacket();
  return [packet.parse(dataOf(bytes), offset, bytes.length), packet];
}

/** The packet, which must be a good one. */
function parsed(bytes: Uint8Array): IpPacket {
  const [reason, packet] = parse(bytes);
  expect(reason).toBe(Reason.Ok);
  return packet;
}

describe('IPv4', () => {
  it('finds the transport header', () => {
    const packet = parsed(frames.KATRAN_TCP4);
    expect(packet).toMatchObject({ version: 4, protocol: 6, transport: 20, end: 55, fragment: 0 });
  });

  it('steps over options', () => {
    expect(parsed(frames.KATRAN_TCP4_OPTIONS)).toMatchObject({ protocol: 6, transport: 24, end: 59 });
  });

  it('counts offsets from the start of the buffer and leaves padding out', () => {
    const bytes = concat(hex('ffffff'), frames.KATRAN_UDP4, new Uint8Array(9));
    const [reason, packet] = parse(bytes, 3);
    expect(reason).toBe(Reason.Ok);
    expect(packet).toMatchObject({ offset: 3, transport: 23, end: 3 + frames.KATRAN_UDP4.length });
  });

  function header(totalLength: number, flagsAndOffset = IPV4_DF): Uint8Array {
    const bytes = new Uint8Array(40);
    encodeIpv4Into(dataOf(bytes), 0, totalLength, IP_PROTOCOL_UDP, 1, 2, 64, flagsAndOffset);
    return bytes;
  }

  it.each([
    ['whole', 0, FragmentKind.None],
    ['whole, do not fragment', IPV4_DF, FragmentKind.None],
    ['whole, evil bit (RFC 3514)', 0x8000, FragmentKind.None],
    ['first', IPV4_MF, FragmentKind.First],
    ['later', IPV4_MF | 1, FragmentKind.Later],
    ['last', 0x1fff, FragmentKind.Later],
    ['last, with a contradictory DF', IPV4_DF | 8, FragmentKind.Later],
  ])('tells fragments: %s', (_name, flagsAndOffset, kind) => {
    expect(parsed(header(40, flagsAndOffset)).fragment).toBe(kind);
  });

  it.each([
    ['version 5', 0, 0x55, Reason.BadVersion],
    ['version 0', 0, 0x05, Reason.BadVersion],
    ['IHL 4', 0, 0x44, Reason.BadHeaderLength],
    ['IHL 0', 0, 0x40, Reason.BadHeaderLength],
    ['options beyond the buffer', 0, 0x4f, Reason.Truncated],
    ['total length 41 of 40', 3, 41, Reason.BadLength],
    ['total length 19', 3, 19, Reason.BadLength],
    ['total length 0', 3, 0, Reason.BadLength],
  ])('refuses %s', (_name, at, value, reason) => {
    const bytes = header(40);
    bytes[at] = value;
    expect(parse(bytes)[0]).toBe(reason);
  });

  it('refuses a total length that ends inside the options', () => {
    const bytes = header(23);
    bytes[0] = 0x46;
    expect(parse(bytes)[0]).toBe(Reason.BadLength);
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < frames.KATRAN_TCP4_OPTIONS.length; length++) {
      const reason = parse(frames.KATRAN_TCP4_OPTIONS.subarray(0, length))[0];
      expect(reason).toBe(length < 24 ? Reason.Truncated : Reason.BadLength);
    }
  });
});

describe('IPv6', () => {
  const source = hex('20010db8000000000000000000000001');
  const destination = hex('20010db8010000000000000000000001');
  const tcp = new Uint8Array(20);

  function packet(nextHeader: number, ...parts: Uint8Array[]): Uint8Array {
    const payload = concat(...parts);
    const bytes = concat(new Uint8Array(IPV6_HEADER), payload);
    encodeIpv6Into(dataOf(bytes), 0, payload.length, nextHeader, source, destination);
    return bytes;
  }

  /** An extension header of `8 * (1 + units)` bytes. */
  function extension(next: number, units = 0): Uint8Array {
    const bytes = new Uint8Array(8 * (1 + units));
    bytes[0] = next;
    bytes[1] = units;
    return bytes;
  }

  function fragment(next: number, offset: number, more: boolean): Uint8Array {
    const bytes = new Uint8Array(8);
    encodeIpv6FragmentInto(dataOf(bytes), 0, next, offset, more, 0xdeadbeef);
    return bytes;
  }

  /** AH counts 4-byte words minus two (RFC 4302); 24 bytes with a 96-bit integrity value. */
  function authentication(next: number): Uint8Array {
    const bytes = new Uint8Array(24);
    bytes[0] = next;
    bytes[1] = 4;
    return bytes;
  }

  it('finds the transport header', () => {
    expect(parsed(frames.KATRAN_TCP6)).toMatchObject({ version: 6, protocol: 6, transport: 40, end: 75 });
  });

  it('leaves padding out', () => {
    expect(parsed(concat(frames.KATRAN_UDP6, new Uint8Array(4))).end).toBe(frames.KATRAN_UDP6.length);
  });

  it('steps over five extension headers that another system made', () => {
    expect(parsed(frames.CLS_EXTENSIONS_FIVE)).toMatchObject({ protocol: 6, transport: 80, end: 100 });
  });

  it.each([
    ['hop-by-hop', packet(IPV6_HOP_BY_HOP, extension(6), tcp), 48],
    ['routing, 40 bytes', packet(IPV6_ROUTING, extension(6, 4), tcp), 80],
    ['destination options, 2048 bytes', packet(IPV6_DESTINATION_OPTIONS, extension(6, 255), tcp), 2088],
    ['authentication', packet(IP_PROTOCOL_AH, authentication(6), tcp), 64],
    ['mobility', packet(IPV6_MOBILITY, extension(6), tcp), 48],
    ['HIP', packet(IPV6_HIP, extension(6, 1), tcp), 56],
    ['shim6', packet(IPV6_SHIM6, extension(6), tcp), 48],
    [
      'the order RFC 8200 recommends',
      packet(
        IPV6_HOP_BY_HOP,
        extension(IPV6_DESTINATION_OPTIONS),
        extension(IPV6_ROUTING),
        extension(IPV6_FRAGMENT, 2),
        fragment(IP_PROTOCOL_AH, 0, false),
        authentication(IPV6_DESTINATION_OPTIONS),
        extension(6),
        tcp,
      ),
      40 + 8 + 8 + 24 + 8 + 24 + 8,
    ],
  ])('steps over %s', (_name, bytes, transport) => {
    expect(parsed(bytes)).toMatchObject({ protocol: 6, transport, end: bytes.length, fragment: 0 });
  });

  it.each([
    ['atomic', fragment(6, 0, false), FragmentKind.None],
    ['first', fragment(6, 0, true), FragmentKind.First],
    ['later', fragment(6, 1480, true), FragmentKind.Later],
    ['last', fragment(6, 0xfff8, false), FragmentKind.Later],
    ['atomic with reserved bits', hex('06ff000600000001'), FragmentKind.None],
  ])('tells fragments: %s', (_name, header, kind) => {
    const walked = parsed(packet(IPV6_FRAGMENT, header, tcp));
    expect(walked).toMatchObject({ protocol: 6, transport: 48, fragment: kind });
  });

  it('takes an atomic fragment from another system as whole', () => {
    expect(parsed(frames.CLS_ATOMIC)).toMatchObject({
      protocol: 6,
      transport: 48,
      fragment: FragmentKind.None,
    });
  });

  it('reads no header in the middle of a datagram', () => {
    // The bytes behind the fragment header look like an extension header whose length points far beyond the packet.
    const bytes = packet(IPV6_FRAGMENT, fragment(IPV6_DESTINATION_OPTIONS, 8, true), hex('3cff000000000000'));
    expect(parsed(bytes)).toMatchObject({ protocol: IPV6_DESTINATION_OPTIONS, transport: 48, fragment: 2 });
  });

  it('goes on behind the header of a first fragment', () => {
    const bytes = packet(IPV6_FRAGMENT, fragment(IPV6_DESTINATION_OPTIONS, 0, true), extension(17), tcp);
    expect(parsed(bytes)).toMatchObject({ protocol: 17, transport: 56, fragment: FragmentKind.First });
  });

  it('forgets the fragment of the packet before', () => {
    const walked = parsed(packet(IPV6_FRAGMENT, fragment(6, 8, false), tcp));
    expect(walked.fragment).toBe(FragmentKind.Later);
    walked.parse(dataOf(frames.KATRAN_TCP6), 0, frames.KATRAN_TCP6.length);
    expect(walked.fragment).toBe(FragmentKind.None);
  });

  it.each([
    ['ESP', IP_PROTOCOL_ESP],
    ['no next header', IP_PROTOCOL_NONE],
    ['an unknown protocol', 253],
  ])('stops at %s', (_name, next) => {
    expect(parsed(packet(IPV6_HOP_BY_HOP, extension(next), tcp))).toMatchObject({
      protocol: next,
      transport: 48,
    });
  });

  it('walks as many headers as allowed and not one more', () => {
    const chain = Array.from({ length: MAX_EXTENSION_HEADERS }, (_, i) =>
      extension(i === MAX_EXTENSION_HEADERS - 1 ? 6 : IPV6_DESTINATION_OPTIONS),
    );
    expect(parsed(packet(IPV6_DESTINATION_OPTIONS, ...chain, tcp)).protocol).toBe(6);
    const longer = packet(IPV6_DESTINATION_OPTIONS, extension(IPV6_DESTINATION_OPTIONS), ...chain, tcp);
    expect(parse(longer)[0]).toBe(Reason.ExtensionChainTooLong);
  });

  it('gives up on a chain without end', () => {
    const endless = Array.from({ length: 8000 }, () => extension(IPV6_HOP_BY_HOP));
    expect(parse(packet(IPV6_HOP_BY_HOP, ...endless))[0]).toBe(Reason.ExtensionChainTooLong);
    const fragments = Array.from({ length: 100 }, () => fragment(IPV6_FRAGMENT, 0, false));
    expect(parse(packet(IPV6_FRAGMENT, ...fragments))[0]).toBe(Reason.ExtensionChainTooLong);
  });

  it.each([
    ['a chain that ends inside a header', packet(IPV6_HOP_BY_HOP, extension(6).subarray(0, 7))],
    ['a chain that ends before a header', packet(IPV6_HOP_BY_HOP, extension(IPV6_ROUTING))],
    ['a header longer than the packet', packet(IPV6_HOP_BY_HOP, hex('0601000000000000'))],
    ['AH longer than the packet', packet(IP_PROTOCOL_AH, authentication(6).subarray(0, 20))],
    ['no payload but a next header', packet(IPV6_HOP_BY_HOP)],
  ])('refuses %s', (_name, bytes) => {
    expect(parse(bytes)[0]).toBe(Reason.Truncated);
  });

  it('does not walk into padding behind the payload length', () => {
    const bytes = concat(packet(IPV6_HOP_BY_HOP, extension(IPV6_ROUTING)), extension(6), tcp);
    expect(parse(bytes)[0]).toBe(Reason.Truncated);
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < frames.CLS_EXTENSIONS_FIVE.length; length++) {
      const reason = parse(frames.CLS_EXTENSIONS_FIVE.subarray(0, length))[0];
      expect(reason).toBe(length < IPV6_HEADER ? Reason.Truncated : Reason.BadLength);
    }
  });

  it('knows the same extension headers as the list for explanations', () => {
    for (let next = 0; next < 256; next++) {
      const bytes = packet(next, extension(IP_PROTOCOL_NONE), tcp);
      const walked = parsed(bytes).transport > IPV6_HEADER;
      expect([next, walked]).toEqual([next, IPV6_EXTENSION_NAMES.has(next)]);
    }
  });

  it('ends where the list for explanations ends', () => {
    const view = new Ipv6View();
    const bytes = frames.CLS_EXTENSIONS_FIVE;
    view.attach(dataOf(bytes), 0, bytes.length);
    const last = [...view.extensions()].at(-1);
    expect((last?.offset ?? 0) + (last?.length ?? 0)).toBe(parsed(bytes).transport);
  });
});

describe('quoted packets', () => {
  const packet = new IpPacket();

  it('may be cut short: the end is then that of the buffer', () => {
    const quote = frames.KATRAN_TCP4.subarray(0, 28);
    expect(packet.parse(dataOf(quote), 0, 28)).toBe(Reason.BadLength);
    expect(packet.parseQuoted(dataOf(quote), 0, 28)).toBe(Reason.Ok);
    expect(packet).toMatchObject({ protocol: IP_PROTOCOL_TCP, transport: 20, end: 28 });

    const quote6 = frames.KATRAN_TCP6.subarray(0, 48);
    expect(packet.parseQuoted(dataOf(quote6), 0, 48)).toBe(Reason.Ok);
    expect(packet).toMatchObject({ protocol: IP_PROTOCOL_TCP, transport: 40, end: 48 });
  });

  it('end earlier when their own length says so', () => {
    const quote = concat(frames.KATRAN_UDP4, new Uint8Array(20));
    expect(packet.parseQuoted(dataOf(quote), 0, quote.length)).toBe(Reason.Ok);
    expect(packet.end).toBe(frames.KATRAN_UDP4.length);
  });

  it('must still have a whole IP header with its extension headers', () => {
    expect(packet.parseQuoted(dataOf(frames.KATRAN_TCP4), 0, 19)).toBe(Reason.Truncated);
    expect(packet.parseQuoted(dataOf(frames.KATRAN_TCP4_OPTIONS), 0, 23)).toBe(Reason.Truncated);
    expect(packet.parseQuoted(dataOf(frames.KATRAN_TCP6), 0, 39)).toBe(Reason.Truncated);
    expect(packet.parseQuoted(dataOf(frames.CLS_EXTENSIONS_FIVE), 0, 79)).toBe(Reason.Truncated);
    expect(packet.parseQuoted(dataOf(frames.CLS_EXTENSIONS_FIVE), 0, 80)).toBe(Reason.Ok);
  });

  it('are found in ICMP errors', () => {
    const error = frames.KATRAN_FRAGMENTATION_NEEDED;
    expect(packet.parseQuoted(dataOf(error), 28, error.length)).toBe(Reason.Ok);
    expect(packet).toMatchObject({ offset: 28, protocol: IP_PROTOCOL_TCP, transport: 48, end: 83 });
  });
});
