import { describe, expect, it } from 'vitest';
import { dissect } from '../../../src/replay/dissect/dissect.js';
import { makePacket, wrapPacket } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import { expectSound, ipv4, ipv6, layerOf, protocolsOf, RAW, udp, valuesOf } from './support.js';

const SYN_OPTIONS = hex('020405b4 0402 080a 00000001 00000002 01 030307');

describe('TCP', () => {
  it('has all its fields and options', () => {
    const segment = concat(hex('9c400050 00000001 00000002 a0c2 faf0 0000 0000'), SYN_OPTIONS, hex('61'));
    const layers = dissect(ipv4(6, segment), RAW);
    const layer = layerOf(layers, 'TCP');
    expect(layer.summary).toBe('40000 > 80 SYN,ECE,CWR seq 1 win 64240 length 1');
    const { Checksum, ...values } = valuesOf(layer);
    expect(Checksum).toMatch(/^0x[0-9a-f]{4} \(correct\)$/);
    expect(values).toEqual({
      'Source Port': '40000',
      'Destination Port': '80',
      'Sequence Number': '1',
      'Acknowledgment Number': '2',
      'Data Offset': '10 (40 bytes)',
      Reserved: '0',
      Flags: 'SYN,ECE,CWR',
      Window: '64240 (bytes)',
      'Urgent Pointer': '0',
      'Option: Maximum Segment Size': '1460 bytes',
      'Option: SACK Permitted': 'yes',
      'Option: Timestamps': 'value 1, echo reply 2',
      'Option: No-Operation': '01',
      'Option: Window Scale': '7 (window x 128)',
    });
  });

  it.each([
    ['050a 00000001 00000005 0101', 'Option: SACK', '1-5'],
    ['0512 00000001 00000005 00000008 00000009 0101', 'Option: SACK', '1-5, 8-9'],
    ['0502 0101', 'Option: SACK', 'no blocks'],
    ['fd04 f989', 'Option: Kind 253', 'fd04f989'],
    ['0203 05 01', 'Option: Maximum Segment Size', '020305 (its length is wrong)'],
    ['1e04 0000', 'Option: Multipath TCP', '1e040000'],
    ['0101 0000', 'Option: End of Option List', '00'],
  ])('reads option %s', (text, name, value) => {
    const options = hex(text);
    const words = 5 + options.length / 4;
    const segment = concat(
      hex('9c400050 00000001 00000002', `${words.toString(16)}010 fff0 0000 0000`),
      options,
    );
    const bytes = ipv4(6, segment);
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(valuesOf(layerOf(layers, 'TCP'))[name]).toBe(value);
  });

  it.each([
    ['a data offset below 5', '9c400050 00000001 00000002 4010 fff0 0000 0000', /data offset says 16 bytes/],
    [
      'an option that is too long',
      '9c400050 00000001 00000002 6010 fff0 0000 0000 02ff0000',
      /option 2 is wrong/,
    ],
    ['options beyond the end', '9c400050 00000001 00000002 7010 fff0 0000 0000', /20 of at least 28 bytes/],
    ['a cut header', '9c400050 00000001', /8 of at least 20 bytes/],
  ])('has a problem with %s', (_name, text, problem) => {
    const bytes = ipv4(200, hex(text));
    bytes[9] = 6;
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layerOf(layers, 'TCP').problem).toMatch(problem);
  });
});

describe('UDP', () => {
  it('has all its fields', () => {
    const { Checksum, ...values } = valuesOf(layerOf(dissect(udp(53, 5353, hex('6869')), RAW), 'UDP'));
    expect(Checksum).toMatch(/\(correct\)$/);
    expect(values).toEqual({ 'Source Port': '53', 'Destination Port': '5353', Length: '10 (bytes)' });
  });

  it.each([
    ['a length below the header', '0035 14e9 0007 0000', /length says 7 bytes, less/],
    ['a length beyond the end', '0035 14e9 0009 0000', /length says 9 bytes, 8 are there/],
    ['a cut header', '0035 14e9 00', /5 of at least 8 bytes/],
  ])('has a problem with %s', (_name, text, problem) => {
    const layers = dissect(ipv4(17, hex(text)), RAW);
    expect(layerOf(layers, 'UDP').problem).toMatch(problem);
  });

  it('shows the start of a payload as text', () => {
    const layers = dissect(udp(1, 2, Buffer.from('GET /\r\n')), RAW);
    expect(layers.at(-1)).toMatchObject({
      protocol: 'Payload',
      fields: [{ value: 'GET /..', note: '7 bytes' }],
    });
    const long = dissect(udp(1, 2, new Uint8Array(100).fill(0x61)), RAW).at(-1);
    expect(long?.fields[0]).toMatchObject({ value: `${'a'.repeat(32)}…`, hex: '6161616161616161…' });
  });
});

describe('checksums of transports', () => {
  const segments = [4, 6].flatMap((version) =>
    (['tcp', 'udp'] as const).map((protocol) => makePacket({ version: version as 4 | 6, protocol })),
  );

  function noteOf(bytes: Uint8Array, originalLength?: number): string {
    const layers = dissect(bytes, RAW, originalLength === undefined ? {} : { originalLength });
    const layer = layers.find(({ protocol }) => protocol === 'TCP' || protocol === 'UDP');
    return layer?.fields.find(({ name }) => name === 'Checksum')?.note ?? '';
  }

  it('are correct, or wrong with the right one beside', () => {
    for (const bytes of segments) {
      expect(noteOf(bytes)).toBe('correct');
      const at = (bytes[0] >>> 4 === 4 ? 20 : 40) + (protocolsOf(dissect(bytes, RAW))[1] === 'TCP' ? 16 : 6);
      const right = dataOf(bytes).getUint16(at).toString(16).padStart(4, '0');
      const broken = bytes.with(bytes.length - 1, bytes[bytes.length - 1] ^ 0x55).with(at, 0x12);
      expect(noteOf(broken)).toMatch(/^wrong, should be 0x/);
      expect(noteOf(bytes.with(at, bytes[at] ^ 1))).toBe(`wrong, should be 0x${right}`);
    }
  });

  it('are none where UDP has none', () => {
    for (const [bytes, note] of [
      [ipv4(200, hex('0035 14e9 0008 0000')).with(9, 17), 'none'],
      [ipv6(200, hex('0035 14e9 0008 0000')).with(6, 17), 'none: over IPv6 only in tunnels'],
    ] as const) {
      expect(noteOf(bytes)).toBe(note);
    }
  });

  it('cannot be checked in fragments and in packets that were cut', () => {
    const bytes = Uint8Array.from(segments[0]);
    dataOf(bytes).setUint16(6, 0x2000);
    expect(noteOf(bytes)).toBe('not checked: a fragment');
    expect(noteOf(segments[0].subarray(0, 42), segments[0].length)).toBe('not checked: bytes are missing');
    expect(noteOf(segments[1].subarray(0, 30))).toBe('not checked: bytes are missing');
  });

  it('are those of the inner packet inside a wrapper', () => {
    const layers = dissect(wrapPacket(makePacket({ version: 6 })), RAW);
    expect(valuesOf(layerOf(layers, 'UDP')).Checksum).toBe('0x0000 (none)');
    expect(valuesOf(layerOf(layers, 'TCP')).Checksum).toMatch(/\(correct\)$/);
  });
});
