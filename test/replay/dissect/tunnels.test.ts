import { describe, expect, it } from 'vitest';
import { dissect } from '../../../src/replay/dissect/dissect.js';
import { checksum } from '../../../src/wire/checksum.js';
import { makePacket, wrapPacket } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import { CLS_GUE_TWO_HOPS } from '../../wire/frames.js';
import { ethernet, expectSound, ipv4, layerOf, protocolsOf, RAW, udp, valuesOf } from './support.js';

const INNER = makePacket();

function gue(text: string, inner = INNER): ReturnType<typeof dissect> {
  const bytes = udp(0x8001, 6080, concat(hex(text), inner));
  const layers = dissect(bytes, RAW);
  expectSound(bytes, layers);
  return layers;
}

describe('GUE', () => {
  it('has all its fields, and marks the hop that is tried next', () => {
    const layers = dissect(CLS_GUE_TWO_HOPS, RAW, { guePort: 1234 });
    expect(protocolsOf(layers)).toEqual(['IPv4', 'UDP', 'GUE', 'IPv4', 'TCP', 'Payload']);
    expect(layers[2].summary).toBe('hops [10.0.0.2 *10.0.0.3] forward-syn last-hop-gre');
    expect(valuesOf(layers[2])).toEqual({
      Variant: '0',
      C: '0 (a data message)',
      Hlen: '3 (12 bytes behind the first four)',
      Proto: '4 (IPv4)',
      Flags: '0x0000',
      Version: '0',
      S: '1 (a SYN goes on to the next hop too)',
      G: '1 (GRE for the last step)',
      Unused: '0',
      Reserved: '0',
      'Next Hop': '1',
      'Hop Count': '2',
      'Hop 0': '10.0.0.2 (tried)',
      'Hop 1': '10.0.0.3 (next)',
    });
  });

  it('carries IPv6 too', () => {
    const layers = gue('01290000 00000000', makePacket({ version: 6 }));
    expect(protocolsOf(layers)).toEqual(['IPv4', 'UDP', 'GUE', 'IPv6', 'TCP', 'Payload']);
    expect(layers[2].problem).toBeUndefined();
  });

  it.each([
    ['no private data', '00040000', /no list of hops/, 'IPv4'],
    ['more hops than Hlen has room for', '01040000 00000001', /room for 0 hops, the hop count is 1/, 'IPv4'],
    [
      'less hops than Hlen has room for',
      '02040000 00000000 0a000001',
      /room for 1 hops, the hop count is 0/,
      'IPv4',
    ],
    ['a next hop beyond the list', '02040000 00000201 0a000001', /next hop is 2, the hop count 1/, 'IPv4'],
    ['another version', '01040000 10000000', /version 1 is not known/, 'IPv4'],
    ['a reserved bit', '01040000 01000000', /reserved bits/, 'IPv4'],
    ['a reserved byte', '01040000 00010000', /reserved bits/, 'IPv4'],
    ['a flag', '02040800 00000000 00000000', /flags 0x0800/, 'IPv4'],
    ['another protocol', '01060000 00000000', /protocol 6 is neither IPv4 nor IPv6/, 'TCP'],
    ['a control message', '21010000 00000000', /a control message/, 'Payload'],
    ['variant 2', '80040000', /variant 2 is not known/, 'Payload'],
    ['IPv6 where IPv4 is announced', '01290000 00000000', undefined, 'IPv6'],
  ])('has a problem with %s', (_name, header, problem, next) => {
    const layers = gue(header);
    if (problem === undefined) expect(layers[3].problem).toMatch(/version is 4, not 6/);
    else expect(layers[2].problem).toMatch(problem);
    expect(layers[3].protocol).toBe(next);
  });

  it('shows what of a cut list is there', () => {
    const layers = gue('04040000 00000003 0a000001 0a00', new Uint8Array(0));
    expect(layers[2].problem).toMatch(/14 of at least 20 bytes/);
    expect(layers[2].fields.slice(-2)).toMatchObject([
      { name: 'Hop 0', value: '10.0.0.1', note: 'next' },
      { name: '(cut short)', value: '2 bytes' },
    ]);
  });

  it('reads variant 1: an IP packet where the header would be', () => {
    for (const inner of [INNER, makePacket({ version: 6 })]) {
      const bytes = udp(0x8001, 6080, inner);
      const layers = dissect(bytes, RAW);
      expectSound(bytes, layers);
      expect(protocolsOf(layers)).toEqual(['IPv4', 'UDP', 'GUE', `IPv${inner[0] >>> 4}`, 'TCP', 'Payload']);
      expect(layers[2]).toMatchObject({ summary: 'variant 1', fields: [] });
    }
  });

  it('is looked for at the destination port only', () => {
    expect(protocolsOf(dissect(udp(6080, 7000, hex('01040000 00000000')), RAW))).toEqual([
      'IPv4',
      'UDP',
      'Payload',
    ]);
  });

  it('wraps what is wrapped again', () => {
    const layers = dissect(wrapPacket(wrapPacket(INNER)), RAW);
    expect(protocolsOf(layers)).toEqual([
      'IPv4',
      'UDP',
      'GUE',
      'IPv4',
      'UDP',
      'GUE',
      'IPv4',
      'TCP',
      'Payload',
    ]);
  });
});

describe('GRE', () => {
  it('has all its fields', () => {
    const gre = concat(hex('b0000800 0000 0000 0000002a 00000007'), INNER);
    dataOf(gre).setUint16(4, checksum(dataOf(gre), 0, gre.length));
    const layer = layerOf(dissect(ipv4(47, gre), RAW), 'GRE');
    expect(layer.summary).toBe('key 0x0000002a seq 7');
    const { Checksum, ...values } = valuesOf(layer);
    expect(Checksum).toMatch(/correct/);
    expect(values).toEqual({
      C: '1 (checksum present)',
      R: '0',
      K: '1 (key present)',
      S: '1 (sequence number present)',
      Reserved0: '0',
      Ver: '0',
      'Protocol Type': '0x0800 (IPv4)',
      Reserved1: '0',
      Key: '0x0000002a',
      'Sequence Number': '7',
    });
    gre[gre.length - 1] ^= 1;
    expect(layerOf(dissect(ipv4(47, gre), RAW), 'GRE').problem).toMatch(/checksum wrong/);
  });

  it('carries Ethernet', () => {
    const bytes = ipv4(47, concat(hex('00006558'), ethernet(0x0800, INNER)));
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(protocolsOf(layers)).toEqual(['IPv4', 'GRE', 'Ethernet', 'IPv4', 'TCP', 'Payload']);
  });

  it.each([
    ['version 1', '2001880b 00000000', /version 1/],
    ['routing', '40000800 00000000', /reserved bits/],
    ['a cut key', '20000800 0000', /cut short/],
    ['a cut header', '2000', /2 of at least 4 bytes/],
  ])('has a problem with %s', (_name, text, problem) => {
    const bytes = ipv4(47, hex(text));
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers[1].problem).toMatch(problem);
  });
});

it('ESP: what is not encrypted', () => {
  const layers = dissect(ipv4(50, hex('00001000 00000007', 'ee'.repeat(20))), RAW);
  expect(valuesOf(layers[1])).toEqual({
    'Security Parameters Index': '0x00001000',
    'Sequence Number': '7',
    Encrypted: '20 bytes',
  });
});
