import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checksum,
  fold,
  pseudoHeaderSum4,
  pseudoHeaderSum6,
  sumBytes,
  transportChecksum,
  transportChecksumOffset,
  udpChecksum,
  udpUpdate16,
  udpUpdate32,
  update16,
  update32,
  verifyTransportChecksum,
  writeTransportChecksum,
} from '../../src/wire/checksum.js';
import { ICMP_AT_CHECKSUM } from '../../src/wire/icmp.js';
import { ICMPV6_AT_CHECKSUM } from '../../src/wire/icmpv6.js';
import { IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into } from '../../src/wire/ipv4.js';
import { encodeIpv6Into } from '../../src/wire/ipv6.js';
import { Reason } from '../../src/wire/reason.js';
import { TCP_AT_CHECKSUM } from '../../src/wire/tcp.js';
import { UDP_AT_CHECKSUM } from '../../src/wire/udp.js';
import { concat, dataOf, hex } from './bytes.js';
import * as frames from './frames.js';
import { slowChecksum } from './slow-checksum.js';

function parse(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  expect(packet.parse(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
  return packet;
}

/** A fresh copy, so that a test may write into it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

describe('sumBytes, fold, checksum', () => {
  it('computes the example of RFC 1071 section 3', () => {
    const data = dataOf(hex('0001 f203 f4f5 f6f7'));
    expect(sumBytes(data, 0, 8)).toBe(0x2ddf0);
    expect(fold(0x2ddf0)).toBe(0xddf2);
    expect(checksum(data, 0, 8)).toBe(0x220d);
  });

  it('computes a known IPv4 header checksum, and 0 over the header that contains it', () => {
    const header = copyOf(frames.WIKIPEDIA_IPV4);
    expect(checksum(dataOf(header), 0, 20)).toBe(0);
    header[10] = 0;
    header[11] = 0;
    expect(checksum(dataOf(header), 0, 20)).toBe(0xb861);
  });

  it('counts an odd last byte as the upper half of a word', () => {
    expect(sumBytes(dataOf(hex('010203')), 0, 3)).toBe(0x0102 + 0x0300);
    expect(sumBytes(dataOf(hex('ff')), 0, 1, 7)).toBe(0xff07);
    expect(sumBytes(dataOf(hex('ff')), 0, 0, 7)).toBe(7);
  });

  it('does not overflow on the longest packet of ones, with a large initial sum', () => {
    const bytes = new Uint8Array(65_535).fill(0xff);
    const initial = 2 ** 31 - 1;
    const sum = sumBytes(dataOf(bytes), 0, bytes.length, initial);
    expect(sum).toBe(32_767 * 0xffff + 0xff00 + initial);
    expect(sum).toBeLessThan(2 ** 32);
    expect(fold(sum)).toBe(sum % 0xffff);
  });

  it('folds every carry', () => {
    expect(fold(0)).toBe(0);
    expect(fold(0xffff)).toBe(0xffff);
    expect(fold(0x1ffff)).toBe(1);
    expect(fold(0xffff_ffff)).toBe(0xffff);
  });

  it('equals the slow twin at every alignment and for every length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), (bytes, shift) => {
        const moved = concat(new Uint8Array(shift).fill(0xff), bytes, hex('ffff'));
        expect(checksum(dataOf(moved), shift, bytes.length)).toBe(slowChecksum(bytes));
      }),
    );
  });

  it('may be summed in pieces of even length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 100 }), fc.nat(50), (bytes, half) => {
        const cut = Math.min(2 * half, bytes.length);
        const data = dataOf(bytes);
        const before = sumBytes(data, 0, cut);
        expect(checksum(data, cut, bytes.length - cut, before)).toBe(slowChecksum(bytes));
      }),
    );
  });
});

describe('pseudo-headers', () => {
  const addresses4 = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff));

  it('sums that of IPv4 (RFC 768)', () => {
    fc.assert(
      fc.property(addresses4, fc.nat(255), fc.nat(65_515), ([source, destination], protocol, length) => {
        const bytes = new Uint8Array(12);
        const data = dataOf(bytes);
        data.setUint32(0, source);
        data.setUint32(4, destination);
        data.setUint8(9, protocol);
        data.setUint16(10, length);
        const sum = pseudoHeaderSum4(source, destination, protocol, length);
        expect(~fold(sum) & 0xffff).toBe(slowChecksum(bytes));
      }),
    );
  });

  it('sums that of IPv6 (RFC 8200 section 8.1), also with a length above 16 bits', () => {
    const addresses = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(addresses, fc.nat(255), fc.nat(0xffffff), (pair, protocol, length) => {
        const bytes = new Uint8Array(40);
        const data = dataOf(bytes);
        bytes.set(pair);
        data.setUint32(32, length);
        data.setUint8(39, protocol);
        expect(~fold(pseudoHeaderSum6(data, 0, protocol, length)) & 0xffff).toBe(slowChecksum(bytes));
      }),
    );
  });
});

describe('incremental update (RFC 1624)', () => {
  it('computes the example of section 4, where the older equation goes wrong', () => {
    expect(update16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  // Words that sit at the two spellings of zero come up far too rarely by chance.
  const word = fc.oneof(fc.constantFrom(0x0000, 0x0001, 0xfffe, 0xffff), fc.nat(0xffff));
  /** Never all zero: neither an IP header nor a pseudo-header is. */
  const words = fc.array(word, { minLength: 2, maxLength: 12 }).map((list) => [0x4500, ...list]);

  function bytesOf(list: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(2 * list.length);
    list.forEach((value, i) => {
      dataOf(bytes).setUint16(2 * i, value);
    });
    return bytes;
  }

  it('update16 equals a full recomputation', () => {
    fc.assert(
      fc.property(words, fc.nat(), word, (list, pick, value) => {
        const index = 1 + (pick % (list.length - 1));
        const changed = list.with(index, value);
        const updated = update16(slowChecksum(bytesOf(list)), list[index], value);
        expect(updated).toBe(slowChecksum(bytesOf(changed)));
      }),
      { numRuns: 1000 },
    );
  });

  it('update32 equals a full recomputation', () => {
    fc.assert(
      fc.property(words, fc.nat(), word, word, (list, pick, high, low) => {
        const index = 1 + (pick % (list.length - 2));
        const changed = list.with(index, high).with(index + 1, low);
        const before = ((list[index] << 16) | list[index + 1]) >>> 0;
        const after = ((high << 16) | low) >>> 0;
        const updated = update32(slowChecksum(bytesOf(list)), before, after);
        expect(updated).toBe(slowChecksum(bytesOf(changed)));
      }),
      { numRuns: 1000 },
    );
  });

  it('takes signed numbers, as bit operations yield them', () => {
    expect(update32(0x1234, 0x80000001 | 0, 0xfedcba98 | 0)).toBe(update32(0x1234, 0x80000001, 0xfedcba98));
  });

  it('under the rules of UDP equals a full recomputation, 0x0000 written as 0xffff', () => {
    fc.assert(
      fc.property(words, fc.nat(), word, word, (list, pick, high, low) => {
        const index = 1 + (pick % (list.length - 2));
        const before = ((list[index] << 16) | list[index + 1]) >>> 0;
        const after = ((high << 16) | low) >>> 0;
        const old = slowChecksum(bytesOf(list)) || 0xffff;
        const changed = slowChecksum(bytesOf(list.with(index, high).with(index + 1, low))) || 0xffff;
        expect(udpUpdate32(old, before, after)).toBe(changed);
        const changed16 = slowChecksum(bytesOf(list.with(index, high))) || 0xffff;
        expect(udpUpdate16(old, list[index], high)).toBe(changed16);
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves a UDP checksum of 0 alone', () => {
    expect(udpUpdate16(0, 0x1234, 0x5678)).toBe(0);
    expect(udpUpdate32(0, 0x12345678, 0x9abcdef0)).toBe(0);
  });

  it('writes 0xffff where the UDP checksum comes out as 0', () => {
    expect(udpUpdate16(0xdd2f, 0x5555, 0x3285)).toBe(0xffff);
    // Sum 0xffff: the checksum would be 0.
    expect(checksum(dataOf(hex('fffe 0001')), 0, 4)).toBe(0);
    expect(udpChecksum(dataOf(hex('fffe 0001')), 0, 4)).toBe(0xffff);
    expect(udpChecksum(dataOf(hex('fffe 0000')), 0, 4)).toBe(1);
  });
});

describe('checksums of whole packets', () => {
  const right = {
    'UDP over IPv4': frames.KATRAN_UDP4,
    'TCP over IPv4': frames.KATRAN_TCP4,
    'TCP over IPv4 with options': frames.KATRAN_TCP4_OPTIONS,
    'TCP over IPv6': frames.KATRAN_TCP6,
    'UDP over IPv6': frames.KATRAN_UDP6,
    ICMP: frames.KATRAN_ECHO4,
    'ICMP error': frames.KATRAN_FRAGMENTATION_NEEDED,
    ICMPv6: frames.KATRAN_ECHO6,
    'GUE by GLB': frames.GLB_TCP4,
    'GUE by GLB, IPv6 inside': frames.GLB_TCP6,
    'GUE by GLB, odd length': frames.GLB_UDP4_ODD,
  };

  it.each(Object.entries(right))('verifies and recomputes: %s', (_name, bytes) => {
    const packet = parse(copyOf(bytes));
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
    const field = packet.transport + transportChecksumOffset(packet.protocol, packet.version);
    const stored = packet.data.getUint16(field);
    expect(transportChecksum(packet)).toBe(stored);

    packet.data.setUint16(field, stored ^ 0x5aa5);
    expect(verifyTransportChecksum(packet)).toBe(Reason.BadChecksum);
    expect(transportChecksum(packet)).toBe(stored);
    expect(writeTransportChecksum(packet)).toBe(Reason.Ok);
    expect(packet.data.getUint16(field)).toBe(stored);
  });

  it('sees a wrong checksum in a packet from outside', () => {
    const packet = parse(frames.KATRAN_PACKET_TOO_BIG);
    expect(verifyTransportChecksum(packet)).toBe(Reason.BadChecksum);
    expect(transportChecksum(packet)).toBe(0x9830);
  });

  it('takes UDP without a checksum over IPv4, but not over IPv6', () => {
    const four = parse(copyOf(frames.KATRAN_UDP4));
    four.data.setUint16(four.transport + UDP_AT_CHECKSUM, 0);
    expect(verifyTransportChecksum(four)).toBe(Reason.Ok);
    const six = parse(copyOf(frames.KATRAN_UDP6));
    six.data.setUint16(six.transport + UDP_AT_CHECKSUM, 0);
    expect(verifyTransportChecksum(six)).toBe(Reason.BadChecksum);
  });

  it('never gives UDP the checksum 0', () => {
    const packet = parse(copyOf(frames.KATRAN_UDP4));
    const at = packet.transport + 8;
    // Adding the present checksum to a payload word makes the new one come out as zero.
    packet.data.setUint16(at, fold(packet.data.getUint16(at) + transportChecksum(packet)));
    expect(transportChecksum(packet)).toBe(0xffff);
    expect(writeTransportChecksum(packet)).toBe(Reason.Ok);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
  });

  it('counts UDP by its own length, and refuses one that is impossible', () => {
    const bytes = concat(frames.KATRAN_UDP4, hex('dead'));
    dataOf(bytes).setUint16(2, bytes.length);
    const packet = parse(bytes);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
    for (const length of [0, 7, 26, 0xffff]) {
      packet.data.setUint16(packet.transport + 4, length);
      expect(verifyTransportChecksum(packet)).toBe(Reason.BadLength);
      expect(transportChecksum(packet)).toBe(-1);
      expect(writeTransportChecksum(packet)).toBe(Reason.BadLength);
    }
  });

  it('says why there is nothing to check', () => {
    expect(verifyTransportChecksum(parse(frames.KATRAN_FRAGMENT6))).toBe(Reason.Fragment);
    expect(verifyTransportChecksum(parse(frames.KATRAN_IPIP))).toBe(Reason.UnknownType);
    const short = new Uint8Array(24);
    encodeIpv4Into(dataOf(short), 0, 24, 17, 0x0a000001, 0x0a000002);
    expect(verifyTransportChecksum(parse(short))).toBe(Reason.Truncated);
    expect(transportChecksum(parse(short))).toBe(-1);
  });

  it('does not take one family for the other: ICMP over IPv6 and ICMPv6 over IPv4 are unknown', () => {
    const address = new Uint8Array(16);
    const six = new Uint8Array(48);
    encodeIpv6Into(dataOf(six), 0, 8, 1, address, address);
    expect(verifyTransportChecksum(parse(six))).toBe(Reason.UnknownType);
    const four = new Uint8Array(28);
    encodeIpv4Into(dataOf(four), 0, 28, 58, 1, 2);
    expect(verifyTransportChecksum(parse(four))).toBe(Reason.UnknownType);
  });

  it('knows the same checksum offsets as the headers do', () => {
    expect(transportChecksumOffset(6, 4)).toBe(TCP_AT_CHECKSUM);
    expect(transportChecksumOffset(17, 6)).toBe(UDP_AT_CHECKSUM);
    expect(transportChecksumOffset(1, 4)).toBe(ICMP_AT_CHECKSUM);
    expect(transportChecksumOffset(58, 6)).toBe(ICMPV6_AT_CHECKSUM);
    expect(transportChecksumOffset(47, 4)).toBe(-1);
  });
});
