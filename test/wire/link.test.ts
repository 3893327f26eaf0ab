import { describe, expect, it } from 'vitest';
import { CUT_BEFORE_IP, ipOffset, LINKTYPE, NO_IP, UNSUPPORTED_LINK_TYPE } from '../../src/wire/link.js';
import { concat, dataOf, hex } from './bytes.js';
import { KATRAN_TCP6, KATRAN_UDP4 } from './frames.js';

const MACS = '0200 0000 0001 0200 0000 0002';
const SLL_FRONT = '0000 0001 0006 0200 0000 0001 0000';

const CARRIERS: readonly (readonly [name: string, linkType: number, header: string, packet: Uint8Array])[] = [
  ['Ethernet, IPv4', LINKTYPE.ETHERNET, `${MACS} 0800`, KATRAN_UDP4],
  ['Ethernet, IPv6', LINKTYPE.ETHERNET, `${MACS} 86dd`, KATRAN_TCP6],
  ['a VLAN tag', LINKTYPE.ETHERNET, `${MACS} 8100 0064 0800`, KATRAN_UDP4],
  ['a provider tag and a VLAN tag', LINKTYPE.ETHERNET, `${MACS} 88a8 0001 8100 0064 86dd`, KATRAN_TCP6],
  [
    'an old provider tag and two VLAN tags',
    LINKTYPE.ETHERNET,
    `${MACS} 9100 0001 8100 0002 8100 0003 0800`,
    KATRAN_UDP4,
  ],
  ['raw IPv4', LINKTYPE.RAW, '', KATRAN_UDP4],
  ['raw IPv6', LINKTYPE.RAW, '', KATRAN_TCP6],
  ['raw IP as DLT 12', LINKTYPE.RAW_DLT, '', KATRAN_TCP6],
  ['raw IP as DLT 14', LINKTYPE.RAW_DLT_OPENBSD, '', KATRAN_UDP4],
  ['IPv4', LINKTYPE.IPV4, '', KATRAN_UDP4],
  ['IPv6', LINKTYPE.IPV6, '', KATRAN_TCP6],
  ['Linux cooked', LINKTYPE.LINUX_SLL, `${SLL_FRONT} 0800`, KATRAN_UDP4],
  ['Linux cooked with a VLAN tag', LINKTYPE.LINUX_SLL, `${SLL_FRONT} 8100 0064 86dd`, KATRAN_TCP6],
  [
    'Linux cooked, version 2',
    LINKTYPE.LINUX_SLL2,
    '0800 0000 00000001 0001 00 06 0200000000010000',
    KATRAN_UDP4,
  ],
  [
    'Linux cooked, version 2, IPv6',
    LINKTYPE.LINUX_SLL2,
    '86dd 0000 00000001 0001 00 06 0200000000010000',
    KATRAN_TCP6,
  ],
  ['null, big-endian IPv4', LINKTYPE.NULL, '00000002', KATRAN_UDP4],
  ['null, little-endian IPv4', LINKTYPE.NULL, '02000000', KATRAN_UDP4],
  ['null, little-endian IPv6 of macOS', LINKTYPE.NULL, '1e000000', KATRAN_TCP6],
  ['null, big-endian IPv6 of FreeBSD', LINKTYPE.NULL, '0000001c', KATRAN_TCP6],
  ['null, little-endian IPv6 of OpenBSD', LINKTYPE.NULL, '18000000', KATRAN_TCP6],
  ['null, little-endian IPv6 of Linux', LINKTYPE.NULL, '0a000000', KATRAN_TCP6],
  ['loop, IPv4', LINKTYPE.LOOP, '00000002', KATRAN_UDP4],
  ['loop, IPv6', LINKTYPE.LOOP, '00000018', KATRAN_TCP6],
];

describe('ipOffset', () => {
  it.each(CARRIERS)('finds the IP header behind %s', (_name, linkType, header, packet) => {
    const front = hex('a5a5a5');
    const frame = concat(front, hex(header), packet);
    const expected = front.length + hex(header).length;
    expect(ipOffset(linkType, dataOf(frame), front.length, frame.length)).toBe(expected);
  });

  it.each(CARRIERS)(
    'says that a frame is cut before the IP header, anywhere: %s',
    (_name, linkType, header) => {
      const frame = hex(header);
      for (let limit = 0; limit <= frame.length; limit++) {
        // Exactly these bytes: reading on would throw.
        expect(ipOffset(linkType, dataOf(frame.slice(0, limit)), 0, limit)).toBe(CUT_BEFORE_IP);
      }
    },
  );

  it.each([
    ['ARP', LINKTYPE.ETHERNET, `${MACS} 0806 0001`],
    ['ARP behind a VLAN tag', LINKTYPE.ETHERNET, `${MACS} 8100 0064 0806 0001`],
    ['an 802.3 length', LINKTYPE.ETHERNET, `${MACS} 0026 4242`],
    ['ARP, cooked', LINKTYPE.LINUX_SLL, `${SLL_FRONT} 0806 0001`],
    ['ARP, cooked, version 2', LINKTYPE.LINUX_SLL2, '0806 0000 00000001 0001 00 06 0200000000010000 00'],
    ['an address family that is no IP', LINKTYPE.NULL, '00000007 00'],
    ['little-endian IPv4 in network order', LINKTYPE.LOOP, '02000000 45'],
    ['neither version 4 nor 6', LINKTYPE.RAW, '51'],
  ])('tells what is no IP: %s', (_name, linkType, text) => {
    const frame = hex(text);
    expect(ipOffset(linkType, dataOf(frame), 0, frame.length)).toBe(NO_IP);
  });

  it('tells link types that it does not know', () => {
    for (const linkType of [2, 9, 105, 127, 147, -1]) {
      expect(ipOffset(linkType, dataOf(KATRAN_UDP4), 0, KATRAN_UDP4.length)).toBe(UNSUPPORTED_LINK_TYPE);
    }
  });
});
