import { describe, expect, it } from 'vitest';
import { dissect, oneLine } from '../../../src/replay/dissect/dissect.js';
import { makePacket, makeTooBig, wrapPacket } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import { CLS_GRE4, KATRAN_IPIP } from '../../wire/frames.js';
import { ETHERNET, ethernet, ipv4, ipv6, RAW, udp } from './support.js';

const CIDS = '08 8394c8f03e515708 00';
const INITIATION = hex('01123456 00ddccbb', '11'.repeat(140));

const LINES: readonly (readonly [string, Uint8Array, string])[] = [
  [
    'GUE with a second hop, and what it wraps',
    wrapPacket(makePacket(), { source: '10.0.1.1', destination: '10.0.2.1', hops: ['10.0.3.1'] }),
    '10.0.1.1 > 10.0.2.1 GUE hops [*10.0.3.1] | 198.51.100.7:40000 > 192.0.2.10:80 TCP SYN seq 1000 win 65535 length 4',
  ],
  [
    'GUE at its last hop, IPv6 inside',
    wrapPacket(makePacket({ version: 6, payload: 0 }), { hops: ['10.0.2.1', '10.0.3.1'], nextHop: 2 }),
    '10.0.2.1 > 10.0.1.1 GUE hops [10.0.2.1 10.0.3.1] at the last one | [2001:db8:c::7]:40000 > [2001:db8:100::10]:80 TCP SYN seq 1000 win 65535',
  ],
  [
    'GUE without hops, WireGuard with a clientid inside',
    wrapPacket(udp(40000, 51820, INITIATION)),
    '10.0.2.1 > 10.0.1.1 GUE no hops | 198.51.100.7:40000 > 192.0.2.10:51820 WireGuard initiation clientid 0x123456 sender 0xbbccdd00',
  ],
  [
    'WireGuard data',
    udp(40000, 51820, hex('04000000 01000000 0500000000000000', '22'.repeat(32))),
    '198.51.100.7:40000 > 192.0.2.10:51820 WireGuard data receiver 0x00000001 counter 5 length 32',
  ],
  [
    'an ICMP error about a packet of the VIP',
    makeTooBig(
      makePacket({
        source: '192.0.2.1',
        destination: '198.51.100.7',
        sourcePort: 80,
        destinationPort: 40000,
      }),
      1400,
      8,
    ),
    '203.0.113.1 > 192.0.2.1 ICMP fragmentation needed mtu 1400 about 192.0.2.1:80 > 198.51.100.7:40000 TCP',
  ],
  [
    'an ICMPv6 error',
    makeTooBig(makePacket({ version: 6, protocol: 'udp' }), 1280),
    '2001:db8:f::1 > 2001:db8:c::7 ICMPv6 packet too big mtu 1280 about [2001:db8:c::7]:40000 > [2001:db8:100::10]:80 UDP',
  ],
  [
    'an echo',
    ipv4(1, hex('0800 0000 0001 0002', '55'.repeat(56))),
    '198.51.100.7 > 192.0.2.10 ICMP echo request id 1 seq 2 length 56',
  ],
  [
    'a QUIC Initial',
    udp(40000, 8443, hex('c000000001', CIDS, '00 19', '99'.repeat(25))),
    '198.51.100.7:40000 > 192.0.2.10:8443 QUIC Initial v1 dcid 8394c8f03e515708 scid - length 25',
  ],
  [
    'two QUIC packets of version 2 in one datagram',
    udp(40000, 443, hex('d06b3343cf', CIDS, '02aabb 01 99', 'f06b3343cf', CIDS, '02 9999')),
    '198.51.100.7:40000 > 192.0.2.10:443 QUIC Initial v2 dcid 8394c8f03e515708 scid - token 2 bytes length 1 QUIC Handshake v2 dcid 8394c8f03e515708 scid - length 2',
  ],
  [
    'a QUIC short header',
    udp(443, 40000, hex('40', '77'.repeat(30))),
    '198.51.100.7:443 > 192.0.2.10:40000 QUIC short header length 30',
  ],
  [
    'TCP with more flags',
    makePacket({ flags: 0x18 }),
    '198.51.100.7:40000 > 192.0.2.10:80 TCP PSH,ACK seq 1000 ack 0 win 65535 length 4',
  ],
  [
    'TCP without any',
    makePacket({ flags: 0, payload: 0 }),
    '198.51.100.7:40000 > 192.0.2.10:80 TCP no flags seq 1000 win 65535',
  ],
  [
    'a later fragment',
    ipv4(17, hex('aabbccdd'), { flagsAndOffset: 0x2001 }),
    '198.51.100.7 > 192.0.2.10 fragment id 0x1234 offset 8 more UDP 4 bytes',
  ],
  [
    'a first fragment over IPv6',
    ipv6(44, hex('1100 0001 0000abcd', '9c400050 0500 0000 61')),
    '[2001:db8:c::7]:40000 > [2001:db8:100::10]:80 fragment id 0x0000abcd offset 0 more UDP length 1272',
  ],
  ['IP in IP', KATRAN_IPIP, '172.16.1.1 > 172.16.100.1 | 192.168.1.1:31337 > 10.200.1.1:80 UDP length 15'],
  [
    'GRE with a key',
    ipv4(47, concat(hex('20000800 0000002a'), ipv4(17, hex('00350035 00080000')))),
    '198.51.100.7 > 192.0.2.10 GRE key 0x0000002a | 198.51.100.7:53 > 192.0.2.10:53 UDP length 0',
  ],
  [
    'ESP',
    ipv4(50, hex('00001000 00000007', 'ee'.repeat(24))),
    '198.51.100.7 > 192.0.2.10 ESP spi 0x00001000 seq 7 length 24',
  ],
  ['a protocol that is not read', ipv4(132, new Uint8Array(12)), '198.51.100.7 > 192.0.2.10 SCTP 12 bytes'],
  ['a number without a name', ipv4(200, new Uint8Array(1)), '198.51.100.7 > 192.0.2.10 protocol 200 1 byte'],
  ['another version', hex('50'), 'Payload 1 byte'],
];

describe('oneLine', () => {
  it.each(LINES)('tells %s', (_name, bytes, line) => {
    expect(oneLine(dissect(bytes, RAW))).toBe(line);
  });

  it('says nothing of Ethernet but its tags', () => {
    const packet = ipv4(6, makePacket({ payload: 0 }).subarray(20));
    const tagged = ethernet(0x8100, concat(hex('a064 0800'), packet, new Uint8Array(2)));
    expect(oneLine(dissect(tagged, ETHERNET))).toBe(`VLAN 100 ${oneLine(dissect(packet, RAW))}`);
    expect(oneLine(dissect(ethernet(0x0800, packet), ETHERNET))).toBe(oneLine(dissect(packet, RAW)));
  });

  it.each([
    [
      0x0806,
      hex('0001 0800 06 04 0001 020000000002 0a000001 000000000000 0a000002'),
      'ARP who has 10.0.0.2 tell 10.0.0.1',
    ],
    [
      0x0806,
      hex('0001 0800 06 04 0002 020000000002 0a000001 020000000001 0a000002'),
      'ARP 10.0.0.1 is at 02:00:00:00:00:02',
    ],
    [0x88cc, new Uint8Array(20), 'LLDP 20 bytes'],
    [0x1234, new Uint8Array(20), 'EtherType 0x1234 20 bytes'],
    [4, new Uint8Array(46), 'LLC 4 bytes'],
  ])('tells of frames without IP: EtherType %i', (type, payload, line) => {
    expect(oneLine(dissect(ethernet(type, payload), ETHERNET))).toBe(line);
  });

  it('ends with what is wrong', () => {
    const bytes = Uint8Array.from(makePacket());
    bytes[10] ^= 1;
    bytes[36] ^= 1;
    const [header, segment] = [10, 36].map((at) =>
      dataOf(makePacket()).getUint16(at).toString(16).padStart(4, '0'),
    );
    expect(oneLine(dissect(bytes, RAW))).toMatch(
      new RegExp(
        `length 4 \\[IPv4: checksum wrong, should be 0x${header}; TCP: checksum wrong, should be 0x${segment}\\]$`,
      ),
    );
    expect(oneLine(dissect(hex('45'), RAW))).toBe('IPv4 [IPv4: cut short: 1 of at least 20 bytes are here]');
  });

  it('takes what the snap length cut off for no problem, and counts it', () => {
    const bytes = makePacket({ payload: 1000 });
    const cut = oneLine(dissect(bytes.subarray(0, 60), RAW, { originalLength: bytes.length }));
    expect(cut).toBe(
      '198.51.100.7:40000 > 192.0.2.10:80 TCP SYN seq 1000 win 65535 length 1000 (980 bytes missing)',
    );
    expect(oneLine(dissect(bytes.subarray(0, 60), RAW))).toMatch(
      / length 1000 \[IPv4: total length says 1040 bytes, 60 are there\]$/,
    );
  });

  it('knows GUE on GLB’s port and on one that it was told, but not on others', () => {
    const packet = (port: number) => wrapPacket(makePacket(), { port });
    expect(oneLine(dissect(packet(19523), RAW))).toContain('GUE no hops |');
    expect(oneLine(dissect(packet(1234), RAW))).toContain(':1234 UDP length');
    expect(oneLine(dissect(packet(1234), RAW, { guePort: 1234 }))).toContain('GUE no hops |');
    expect(oneLine(dissect(packet(6080), RAW, { guePort: 1234 }))).toContain('GUE no hops |');
  });

  it('gives GRE its line as Cloudflare sends it', () => {
    expect(oneLine(dissect(CLS_GRE4, RAW))).toMatch(
      /^127\.0\.0\.1 > 10\.0\.0\.3 GRE \| 127\.0\.0\.1:30080 > /,
    );
  });
});
