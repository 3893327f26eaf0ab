import { describe, expect, it } from 'vitest';
import { dissect, oneLine } from '../../../src/replay/dissect/dissect.js';
import { checksum } from '../../../src/wire/checksum.js';
import { makePacket, makeTooBig } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import { expectSound, ipv4, ipv6, layerOf, protocolsOf, RAW, valuesOf } from './support.js';

function icmp(text: string, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  return ipv4(1, concat(hex(text), body));
}

function icmpv6(text: string, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  return ipv6(58, concat(hex(text), body));
}

describe('ICMP errors', () => {
  it('carry the packet that they quote, marked', () => {
    const bytes = makeTooBig(makePacket({ payload: 100 }), 1400, 8);
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers.map(({ protocol, quoted, problem }) => [protocol, quoted ?? false, problem])).toEqual([
      ['IPv4', false, undefined],
      ['ICMP', false, undefined],
      ['IPv4', true, undefined],
      ['TCP', true, undefined],
    ]);
    expect(valuesOf(layers[1])).toMatchObject({
      Type: '3 (destination unreachable)',
      Code: '4 (fragmentation needed)',
      Checksum: expect.stringMatching(/correct/),
      Length: '0 (to the end)',
      'Next-Hop MTU': '1400 (bytes)',
    });
    expect(layers[2]).toMatchObject({ summary: '198.51.100.7 > 192.0.2.10', missing: 112 });
    expect(valuesOf(layers[3])).toEqual({
      'Source Port': '40000',
      'Destination Port': '80',
      'Sequence Number': '1000',
    });
  });

  it('over IPv6 as well', () => {
    const bytes = makeTooBig(makePacket({ version: 6 }), 1280);
    const layers = dissect(bytes, RAW);
    expect(protocolsOf(layers)).toEqual(['IPv6', 'ICMPv6', 'IPv6', 'TCP', 'Payload']);
    expect(valuesOf(layers[1])).toMatchObject({ Type: '2 (packet too big)', MTU: '1280 (bytes)' });
    expect(valuesOf(layers[3]).Checksum).toMatch(/\(correct\)$/);
  });

  it('are not blamed for a quote that was changed', () => {
    const quote = Uint8Array.from(makePacket());
    quote[8] = 1;
    const layers = dissect(icmp('0b00 0000 00000000', quote), RAW);
    expect(layers[2].fields.find(({ name }) => name === 'Header Checksum')?.note).toMatch(/wrong/);
    expect(layers.some(({ problem }) => problem !== undefined)).toBe(false);
    expect(oneLine(layers)).toMatch(/ICMP TTL exceeded about 198\.51\.100\.7:40000 > 192\.0\.2\.10:80 TCP$/);
  });

  it('may have extensions behind a quote of a length that they tell', () => {
    const extensions = Uint8Array.from(hex('2000 0000 0008 01 01 00010140'));
    dataOf(extensions).setUint16(2, checksum(dataOf(extensions), 0, extensions.length));
    const quote = concat(makePacket(), new Uint8Array(84));
    expect(quote).toHaveLength(128);
    const bytes = icmp('0b00 0000 00 20 0000', concat(quote, extensions));
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(valuesOf(layerOf(layers, 'ICMP')).Length).toBe('32 (128 bytes)');
    expect(valuesOf(layerOf(layers, 'ICMP Extensions'))).toMatchObject({
      Version: '2',
      Checksum: expect.stringMatching(/correct/),
      'Object Length': '8 (bytes)',
      'Class-Num': '1 (MPLS label stack)',
      'Object Payload': '4 bytes',
    });
    const broken = dissect(icmp('0b00 0000 00 20 0000', concat(quote, hex('2000 1234 0003 01 01'))), RAW);
    expect(layerOf(broken, 'ICMP Extensions').problem).toMatch(/checksum wrong.*shorter than its own header/);
  });

  it.each([
    ['0303', 'port unreachable'],
    ['030d', 'administratively prohibited'],
    ['03ff', 'destination unreachable'],
    ['0b01', 'fragment reassembly time exceeded'],
    ['0c00', 'pointer indicates the error'],
    ['0400', 'source quench'],
    ['2a07', 'type 42 code 7'],
  ])('have names: %s', (start, summary) => {
    expect(layerOf(dissect(icmp(`${start} 0000 00000000`), RAW), 'ICMP').summary).toBe(summary);
  });

  it.each([
    ['0100', 'no route to destination'],
    ['0104', 'port unreachable'],
    ['0300', 'hop limit exceeded'],
    ['0401', 'unrecognized next header'],
    ['c803', 'type 200 code 3'],
  ])('have names over IPv6: %s', (start, summary) => {
    expect(layerOf(dissect(icmpv6(`${start} 0000 00000000`), RAW), 'ICMPv6').summary).toBe(summary);
  });

  it('tell who a redirect redirects to', () => {
    const layers = dissect(icmp('0501 0000 0a000001', makePacket()), RAW);
    expect(layers[1].summary).toBe('redirect for the host to 10.0.0.1');
    expect(layers[2].quoted).toBe(true);
  });
});

describe('other ICMP', () => {
  it('reads echoes', () => {
    for (const layers of [
      dissect(icmp('0000 0000 0102 0304', hex('aabb')), RAW),
      dissect(icmpv6('8100 0000 0102 0304', hex('aabb')), RAW),
    ]) {
      expect(layers[1].summary).toBe('echo reply id 258 seq 772 length 2');
      expect(layers[2]).toMatchObject({ protocol: 'Payload', length: 2 });
    }
  });

  it('reads timestamps', () => {
    const [, layer] = dissect(icmp('0e00 0000 0001 0002 00000003 00000004 00000005'), RAW);
    expect(valuesOf(layer)).toMatchObject({ 'Originate Timestamp': '3', 'Transmit Timestamp': '5' });
  });

  it('reads neighbor discovery', () => {
    const target = hex('20010db8', '00'.repeat(11), '01');
    const solicitation = icmpv6('8700 0000 00000000', concat(target, hex('0101 020000000001')));
    const [, asks] = dissect(solicitation, RAW);
    expect(asks.summary).toBe('neighbor solicitation who has 2001:db8::1');
    expect(valuesOf(asks)['Option: Source Link-Layer Address']).toBe('02:00:00:00:00:01');
    const [, answers] = dissect(icmpv6('8800 0000 e0000000', concat(target, hex('0201 020000000002'))), RAW);
    expect(answers.summary).toBe('neighbor advertisement for 2001:db8::1');
    expect(valuesOf(answers)).toMatchObject({ R: '1 (router)', S: '1 (solicited)', O: '1 (override)' });
    const [, router] = dissect(icmpv6('8600 0000 40 c0 0708 00000001 00000002 0501 0000 00000578'), RAW);
    expect(valuesOf(router)).toMatchObject({
      'Cur Hop Limit': '64',
      'Router Lifetime': '1800 (seconds)',
      'Option: MTU': '0501000000000578',
    });
  });

  it.each([
    ['a cut header', icmp('0800 0000'), /4 of at least 8 bytes/],
    ['the other family', ipv6(1, hex('0800 0000 00000000')), /ICMP for IPv4 in an IPv6 packet/],
    ['the other family, the other way', ipv4(58, hex('8000 0000 00000000')), /ICMPv6 in an IPv4 packet/],
    ['an option of length 0', icmpv6('8500 0000 00000000 0100'), /an option of length 0/],
    ['a wrong checksum', icmp('0800 0000 00000000').with(22, 0x12), /checksum wrong, should be 0xf7ff/],
  ])('has a problem with %s', (_name, bytes, problem) => {
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers[1].problem).toMatch(problem);
  });
});
