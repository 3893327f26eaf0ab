import { describe, expect, it } from 'vitest';
import { dissect } from '../../../src/replay/dissect/dissect.js';
import { makePacket } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import { CLS_EXTENSIONS_FIVE, KATRAN_TCP4, KATRAN_TCP6 } from '../../wire/frames.js';
import { expectSound, ipv4, ipv6, layerOf, protocolsOf, RAW, valuesOf } from './support.js';

describe('IPv4', () => {
  it('has all its fields', () => {
    const [layer] = dissect(KATRAN_TCP4, RAW);
    expect(layer).toMatchObject({
      protocol: 'IPv4',
      offset: 0,
      length: 55,
      summary: '192.168.1.1 > 10.200.1.1',
    });
    expect(valuesOf(layer)).toEqual({
      Version: '4',
      IHL: '5 (20 bytes)',
      DSCP: '0',
      ECN: '0 (not ECN-capable)',
      'Total Length': '55 (bytes)',
      Identification: '0x0001',
      Flags: 'none',
      'Fragment Offset': '0',
      'Time to Live': '64',
      Protocol: '6 (TCP)',
      'Header Checksum': '0xad4e (correct)',
      'Source Address': '192.168.1.1',
      'Destination Address': '10.200.1.1',
    });
    expect(layer.fields.at(-1)).toEqual({
      name: 'Destination Address',
      offset: 16,
      length: 4,
      hex: '0ac80101',
      value: '10.200.1.1',
    });
  });

  it('names DSCP, ECN and the flags', () => {
    const bytes = Uint8Array.from(ipv4(200, hex('00'), { flagsAndOffset: 0xe003 }));
    bytes[1] = 0xbb;
    const values = valuesOf(dissect(bytes, RAW)[0]);
    expect(values).toMatchObject({
      DSCP: '46',
      ECN: '3 (congestion experienced)',
      Flags: 'DF,MF (the reserved bit is set)',
      'Fragment Offset': '3 (24 bytes)',
    });
  });

  it('says what a wrong checksum should be', () => {
    const bytes = ipv4(200, hex('00'));
    const right = dataOf(bytes).getUint16(10);
    const layer = dissect(bytes.with(11, bytes[11] ^ 0xff), RAW)[0];
    expect(valuesOf(layer)['Header Checksum']).toMatch(`wrong, should be 0x${right.toString(16)}`);
    expect(layer.problem).toBe(`checksum wrong, should be 0x${right.toString(16)}`);
  });

  it('reads options', () => {
    const bytes = concat(
      hex('4d000034 00000000 40c80000 c6336407 c000020a'),
      hex('01 830b 04 0a000001 0a000002 9404 0000 8804 0007 0702 00', '00'.repeat(9)),
    );
    expect(bytes).toHaveLength(52);
    const [layer] = dissect(bytes, RAW);
    expectSound(bytes, [layer]);
    expect(layer.fields.filter(({ name }) => /Option|Padding/.test(name))).toMatchObject([
      { name: 'Option: No Operation', length: 1 },
      { name: 'Option: Loose Source and Record Route', value: 'pointer 4: 10.0.0.1, 10.0.0.2' },
      { name: 'Option: Router Alert', value: '94040000' },
      { name: 'Option: Stream Identifier', value: '88040007' },
      { name: 'Option: Record Route', value: '0702' },
      { name: 'Option: End of Options', length: 1 },
      { name: 'Padding', length: 9 },
    ]);
  });

  it.each([
    [
      'an option longer than there is room',
      '4600 0018 00000000 40c80000 c6336407 c000020a 44ff0000',
      /option 68/,
    ],
    ['an IHL below 5', '4400 0018 00000000 40c80000 c6336407 c000020a 00000000', /IHL says 16 bytes/],
    [
      'a total length below the header',
      '4500 0010 00000000 40c80000 c6336407 c000020a',
      /total length says 16 bytes, less/,
    ],
    [
      'a total length beyond the end',
      '4500 0030 00000000 40c80000 c6336407 c000020a',
      /says 48 bytes, 20 are there/,
    ],
    ['an IHL beyond the end', '4f00 0030 00000000 40c80000 c6336407 c000020a', /20 of at least 60 bytes/],
    ['a cut header', '4500 0030 00000000', /8 of at least 20 bytes/],
  ])('has a problem with %s', (_name, text, problem) => {
    const bytes = hex(text);
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers[0].problem).toMatch(problem);
  });

  it('leaves what is no IPv4 where IPv4 is announced', () => {
    const layers = dissect(hex('6000000000'), 228);
    expect(layers.map(({ protocol, problem }) => [protocol, problem])).toEqual([
      ['IPv4', 'the version is 6, not 4'],
      ['Payload', undefined],
    ]);
  });

  it('calls bytes behind the end a trailer', () => {
    const layers = dissect(concat(KATRAN_TCP4, new Uint8Array(3)), RAW);
    expect(layers.at(-1)).toMatchObject({
      protocol: 'Trailer',
      offset: 55,
      length: 3,
      summary: '3 bytes of padding',
    });
    expect(dissect(concat(KATRAN_TCP4, hex('00ff')), RAW).at(-1)?.summary).toBe('2 bytes');
  });
});

describe('IPv6', () => {
  it('has all its fields', () => {
    const bytes = Uint8Array.from(KATRAN_TCP6);
    dataOf(bytes).setUint32(0, 0x6ba12345);
    const [layer] = dissect(bytes, RAW);
    expect(valuesOf(layer)).toEqual({
      Version: '6',
      DSCP: '46',
      ECN: '2 (ECT(0))',
      'Flow Label': '0x12345',
      'Payload Length': '35 (bytes)',
      'Next Header': '6 (TCP)',
      'Hop Limit': '64',
      'Source Address': 'fc00:2::1',
      'Destination Address': 'fc00:1::1',
    });
  });

  it.each([
    ['a cut header', KATRAN_TCP6.subarray(0, 39), /39 of at least 40 bytes/],
    [
      'a payload length beyond the end',
      KATRAN_TCP6.subarray(0, 60),
      /says 75 bytes with the header, 60 are there/,
    ],
  ])('has a problem with %s', (_name, bytes, problem) => {
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers[0].problem).toMatch(problem);
  });

  it('has a layer for each extension header, around all that follows', () => {
    const layers = dissect(CLS_EXTENSIONS_FIVE, RAW);
    expect(protocolsOf(layers)).toEqual([
      'IPv6',
      'Hop-by-Hop Options',
      'Destination Options',
      'Routing',
      'mobility',
      'Destination Options',
      'TCP',
    ]);
    const { length } = CLS_EXTENSIONS_FIVE;
    expect(layers.every((layer) => layer.offset + layer.length === length)).toBe(true);
    expect(valuesOf(layerOf(layers, 'mobility'))).toMatchObject({
      'Next Header': '60 (destination options)',
    });
  });

  it('reads options', () => {
    const [, layer] = dissect(ipv6(0, hex('3b 01 0502 0000 00 00 c204 00010000 0100')), RAW);
    expect(layer.fields).toMatchObject([
      { name: 'Next Header', value: '59', note: 'no next header' },
      { name: 'Hdr Ext Len', value: '1', note: '16 bytes' },
      { name: 'Option: Router Alert', hex: '05020000' },
      { name: 'Option: Pad1', note: '2 of them' },
      { name: 'Option: Jumbo Payload', hex: 'c20400010000' },
      { name: 'Option: PadN', hex: '0100' },
    ]);
    expect(layer.problem).toBeUndefined();
  });

  it('reads a fragment header and leaves a later fragment alone', () => {
    const layers = dissect(ipv6(44, hex('1100 05c9 0000abcd aabb')), RAW);
    expect(valuesOf(layerOf(layers, 'Fragment'))).toEqual({
      'Next Header': '17 (UDP)',
      Reserved: '0',
      'Fragment Offset': '185 (1480 bytes)',
      Res: '0',
      M: '1 (more to come)',
      Identification: '0x0000abcd',
    });
    expect(layers.at(-1)).toMatchObject({ protocol: 'UDP', summary: '2 bytes', fields: [{ name: 'Data' }] });
  });

  it('reads routing headers, and checks no checksum on the way', () => {
    const segment = hex('20010db8', '00'.repeat(11), '01');
    const tcp = makePacket({ version: 6, payload: 0 }).subarray(40);
    const routed = (left: string) => {
      const bytes = ipv6(43, concat(hex('0602', '04', left, '00 00 002a'), segment, tcp));
      return dissect(bytes, RAW);
    };
    const layers = routed('01');
    expect(layerOf(layers, 'Routing').summary).toBe('type 4 segments left 1');
    expect(valuesOf(layerOf(layers, 'Routing'))).toMatchObject({
      'Routing Type': '4 (segment routing)',
      Tag: '0x002a',
      'Segment List[0]': '2001:db8::1',
    });
    expect(valuesOf(layerOf(layers, 'TCP')).Checksum).toMatch(
      /\(not checked: on its way to another address\)$/,
    );
    expect(valuesOf(layerOf(routed('00'), 'TCP')).Checksum).toMatch(/\(correct\)$/);
  });

  it('reads the authentication header, over IPv4 too', () => {
    const ah = hex('3b04 0000 00001000 00000007', 'aa'.repeat(12));
    for (const bytes of [ipv6(51, ah), ipv4(51, ah)]) {
      const layer = layerOf(dissect(bytes, RAW), 'AH');
      expect(layer.summary).toBe('spi 0x00001000 seq 7');
      expect(valuesOf(layer)).toMatchObject({
        'Payload Len': '4 (24 bytes)',
        'Integrity Check Value': '12 bytes',
      });
    }
    expect(layerOf(dissect(ipv4(51, hex('3b00 0000 00001000 00000007')), RAW), 'AH').problem).toMatch(
      /8 bytes/,
    );
  });

  it('knows extension headers in IPv6 only', () => {
    expect(protocolsOf(dissect(ipv4(60, hex('3b00 0104 00000000')), RAW))).toEqual([
      'IPv4',
      'destination options',
    ]);
    expect(protocolsOf(dissect(ipv6(60, hex('3b00 0104 00000000')), RAW))).toEqual([
      'IPv6',
      'Destination Options',
    ]);
  });
});
