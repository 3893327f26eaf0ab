import { describe, expect, it } from 'vitest';
import { parsePacket } from '../../src/replay/script/packet-script.js';
import { PacketScriptError } from '../../src/replay/script/tokens.js';
import { verifyTransportChecksum } from '../../src/wire/checksum.js';
import { GueView } from '../../src/wire/gue.js';
import { FragmentKind, IpPacket } from '../../src/wire/ip.js';
import { Ipv4View } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { makePacket, makeTooBig, wrapPacket } from '../path/packets.js';

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function parsed(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  expect(packet.parse(new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length)).toBe(Reason.Ok);
  return packet;
}

describe('a packet line', () => {
  it.each([
    [
      'tcp 198.51.100.7:40000 > 192.0.2.10:80 SYN seq 1000 data 0x5a5a5a5a',
      makePacket({ flags: 2, sequence: 1000 }),
    ],
    ['udp [2001:db8:c::7]:40000 > [2001:db8:100::10]:80 data 4', makePacket({ version: 6, protocol: 'udp' })],
    [
      'icmp packet-too-big 2001:db8:f::1 > 2001:db8:100::10 mtu 1400 about ( tcp [2001:db8:100::10]:80 > [2001:db8:c::7]:40000 ACK data 4 )',
      makeTooBig(
        makePacket({
          version: 6,
          source: '2001:db8:100::10',
          destination: '2001:db8:c::7',
          sourcePort: 80,
          destinationPort: 40000,
          flags: 0x10,
        }),
        1400,
      ),
    ],
    [
      'gue 10.0.2.1 > 10.0.1.1 sport 48879 hops 10.0.3.1 ( tcp 198.51.100.7:40000 > 192.0.2.10:80 ACK data 4 )',
      wrapPacket(makePacket({ flags: 0x10 }), { hops: ['10.0.3.1'] }),
    ],
  ])('%s: the bytes that the tests build by hand', (line, expected) => {
    expect(hexOf(parsePacket(line))).toBe(hexOf(expected));
  });

  it.each([
    'tcp 198.51.100.7:1 > 192.0.2.1:2 SYN,ACK seq 5 ack 7 ttl 3 tos 9 options 6 data "hello"',
    'tcp [2001:db8::1]:1 > [2001:db8::2]:2 FIN,ACK ext hop-by-hop ext destination flow-label 0x12345',
    'udp 198.51.100.7:1 > 192.0.2.1:2',
    'icmp echo 198.51.100.7 > 192.0.2.1 ident 3 seq 4 data "x"',
    'icmp echo-reply 2001:db8::1 > 2001:db8::2',
    'icmp time-exceeded 203.0.113.1 > 192.0.2.1 about ( udp 192.0.2.1:53 > 198.51.100.7:9 )',
    'icmp parameter-problem 2001:db8::1 > 2001:db8::2 code 2 about ( hex 6000 )',
  ])('%s: has right checksums', (line) => {
    const bytes = parsePacket(line);
    const packet = parsed(bytes);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
    if (packet.version === 4) {
      const view = new Ipv4View();
      expect(view.attach(packet.data, 0, bytes.length)).toBe(Reason.Ok);
      expect(view.verifyChecksum()).toBe(Reason.Ok);
    }
  });

  it('makes fragments of both families, later ones without a transport header', () => {
    const first = parsed(parsePacket('udp 198.51.100.7:1 > 192.0.2.1:2 data 16 fragment 0+ id 7'));
    expect([first.fragment, first.end - first.transport]).toEqual([FragmentKind.First, 24]);
    const later = parsed(parsePacket('udp [2001:db8::1]:1 > [2001:db8::2]:2 data 16 fragment 24 id 7'));
    expect([later.fragment, later.end - later.transport]).toEqual([FragmentKind.Later, 16]);
  });

  it('writes wrappers with every bit', () => {
    const bytes = parsePacket(
      'gue 10.0.2.1 > 10.0.1.1 hops 10.0.3.1 10.0.4.1 next 1 forward-syn last-hop-gre port 6081 ( udp [2001:db8::1]:1 > [2001:db8::2]:2 )',
    );
    const view = new GueView();
    expect(view.attach(new DataView(bytes.buffer), 28, bytes.length)).toBe(Reason.Ok);
    expect([view.hopCount, view.nextHop, view.forwardSyn, view.lastHopGre, view.protocol]).toEqual([
      2, 1, 1, 1, 41,
    ]);
    expect(view.hop(1)).toBe(0x0a000401);
    expect(bytes[22] * 256 + bytes[23]).toBe(6081);
  });

  it('damages what it made', () => {
    expect(hexOf(parsePacket('hex 00112233 poke 1 ffee cut 3 pad 2'))).toBe('00ffee0000');
    const inner = parsePacket('gue 10.0.2.1 > 10.0.1.1 ( tcp 192.0.2.1:1 > 192.0.2.2:2 cut 7 )');
    expect(inner.length).toBe(36 + 7);
  });

  it.each([
    ['', 'column 1: expected tcp, udp, esp, icmp, gue or hex, but the line ends'],
    ['tpc 1.2.3.4:1 > 1.2.3.4:2', 'column 1: expected tcp, udp, esp, icmp, gue or hex, but there is "tpc"'],
    ['tcp 1.2.3:1 > 1.2.3.4:2', 'column 5: expected an address'],
    ['tcp 1.2.3.4:99999 > 1.2.3.4:2', 'column 5: expected ADDRESS:PORT'],
    ['tcp 1.2.3.4:1 < 1.2.3.4:2', 'column 15: expected >'],
    ['tcp 1.2.3.4:1 > [::1]:2', 'two families'],
    ['tcp 1.2.3.4:1 > 1.2.3.4:2 SNY', 'expected the end of the packet, but there is "SNY"'],
    ['udp 1.2.3.4:1 > 1.2.3.4:2 SYN', 'expected the end'],
    ['udp 1.2.3.4:1 > 1.2.3.4:2 fragment 3', 'multiple of 8'],
    ['icmp packet-too-big 1.2.3.4 > 1.2.3.4', 'packet-too-big does not exist in ICMP'],
    ['gue 1.2.3.4 > 1.2.3.4 ( hex 45', 'expected )'],
    ['hex 4', 'hexadecimal digits in pairs'],
    ['hex 45 poke 1 00', 'from 0 to 0'],
    ['udp 1.2.3.4:1 > 1.2.3.4:2 data "unclosed', 'expected data, a number'],
  ])('%s: is refused with its place', (line, message) => {
    expect(() => parsePacket(line)).toThrow(PacketScriptError);
    expect(() => parsePacket(line)).toThrow(message);
  });
});
