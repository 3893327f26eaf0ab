import { describe, expect, it } from 'vitest';
import { dissect } from '../../../src/replay/dissect/dissect.js';
import { hex } from '../../wire/bytes.js';
import { expectSound, layerOf, protocolsOf, RAW, udp, valuesOf } from './support.js';

function layersOf(port: number, payload: Uint8Array, options = {}): ReturnType<typeof dissect> {
  const bytes = udp(40000, port, payload);
  const layers = dissect(bytes, RAW, options);
  expectSound(bytes, layers);
  return layers;
}

describe('WireGuard', () => {
  it.each([
    [
      hex('01123456 aabbccdd', '11'.repeat(140)),
      'initiation clientid 0x123456 sender 0xddccbbaa',
      {
        Type: '1 (initiation)',
        Reserved: '0x123456 (clientid (WARP))',
        Sender: '0xddccbbaa',
        'Unencrypted Ephemeral': '32 bytes',
        'Encrypted Static': '48 bytes',
        'Encrypted Timestamp': '28 bytes',
        MAC1: '16 bytes',
      },
    ],
    [
      hex('02000000 aabbccdd 01020304', '11'.repeat(80)),
      'response sender 0xddccbbaa receiver 0x04030201',
      { Reserved: '0x000000 (no clientid)', Receiver: '0x04030201', 'Encrypted Nothing': '16 bytes' },
    ],
    [
      hex('03000000 01020304', '11'.repeat(56)),
      'cookie reply receiver 0x04030201',
      { Nonce: '24 bytes', 'Encrypted Cookie': '32 bytes' },
    ],
    [
      hex('04c0ffee 01020304 0500000000000000', 'bb'.repeat(32)),
      'data clientid 0xc0ffee receiver 0x04030201 counter 5 length 32',
      { Counter: '5', 'Encrypted Packet': '32 bytes' },
    ],
    [
      hex('04000000 01020304 ffffffffffffffff', 'bb'.repeat(16)),
      'data receiver 0x04030201 counter 18446744073709551615 keepalive',
      { 'Encrypted Packet': '16 bytes (the tag alone: a keepalive)' },
    ],
  ])('message %#', (payload, summary, values) => {
    const layer = layerOf(layersOf(2408, payload), 'WireGuard');
    expect(layer.summary).toBe(summary);
    expect(valuesOf(layer)).toMatchObject(values);
    expect(layer.problem).toBeUndefined();
  });

  it.each([
    ['a type that there is not', hex('05000000', '11'.repeat(60))],
    ['another length', hex('01000000', '11'.repeat(143))],
    ['data that is too short', hex('04000000', '11'.repeat(27))],
    [
      'a clientid, and a counter that nobody reaches',
      hex('04123456 01020304 0000000000010000', '11'.repeat(32)),
    ],
  ])('is not seen in %s', (_name, payload) => {
    expect(protocolsOf(layersOf(2408, payload))).toEqual(['IPv4', 'UDP', 'Payload']);
  });

  it('is seen in a packet that was cut, by the length it had', () => {
    const bytes = udp(40000, 2408, hex('01123456 aabbccdd', '11'.repeat(140)));
    const layers = dissect(bytes.subarray(0, 60), RAW, { originalLength: bytes.length });
    expectSound(bytes.subarray(0, 60), layers);
    expect(layers[2]).toMatchObject({ protocol: 'WireGuard', summary: expect.stringMatching(/^initiation/) });
    expect(layers[2].problem).toBeUndefined();
  });

  it('goes before QUIC on port 443 when it is stock', () => {
    const stock = layersOf(443, hex('04000000 01020304 0500000000000000', 'bb'.repeat(32)));
    expect(stock[2].protocol).toBe('WireGuard');
    const other = layersOf(443, hex('04c0ffee 01020304 0500000000000000', 'bb'.repeat(32)));
    expect(other[2].protocol).toBe('QUIC');
  });
});

describe('QUIC', () => {
  const IDS = '08 8394c8f03e515708 04 0a0b0c0d';

  it('Initial, with a token', () => {
    const [, , layer, ...more] = layersOf(443, hex('c500000001', IDS, '03 aabbcc 4014', '99'.repeat(20)));
    expect(more).toEqual([]);
    expect(layer.summary).toBe('Initial v1 dcid 8394c8f03e515708 scid 0a0b0c0d token 3 bytes length 20');
    expect(valuesOf(layer)).toEqual({
      'Header Form': '1 (long)',
      'Fixed Bit': '1',
      'Long Packet Type': '0 (Initial)',
      'Type-Specific Bits': '5 (protected)',
      Version: '0x00000001 (v1)',
      'Destination Connection ID Length': '8 (bytes)',
      'Destination Connection ID': '8394c8f03e515708',
      'Source Connection ID Length': '4 (bytes)',
      'Source Connection ID': '0a0b0c0d',
      'Token Length': '3 (bytes)',
      Token: '3 bytes',
      Length: '20 (bytes)',
      'Packet Number and Payload': '20 bytes (protected)',
    });
  });

  it.each([
    [
      'v2 Handshake, fixed bit 0',
      `b06b3343cf ${IDS} 01 99`,
      'Handshake v2 dcid 8394c8f03e515708 scid 0a0b0c0d length 1',
    ],
    ['v1 0-RTT', `d000000001 ${IDS} 01 99`, '0-RTT v1 dcid 8394c8f03e515708 scid 0a0b0c0d length 1'],
    [
      'Retry',
      `f000000001 ${IDS} 746f6b656e ${'77'.repeat(16)}`,
      'Retry v1 dcid 8394c8f03e515708 scid 0a0b0c0d',
    ],
    [
      'version negotiation',
      `8000000000 ${IDS} 00000001 6b3343cf 1a2a3a4a`,
      'version negotiation dcid 8394c8f03e515708 scid 0a0b0c0d',
    ],
    ['a draft', `c0ff00001d ${IDS} 99`, 'long header draft-29 dcid 8394c8f03e515708 scid 0a0b0c0d'],
    [
      'a reserved version',
      `c01a2a3a4a ${IDS} 99`,
      'long header reserved dcid 8394c8f03e515708 scid 0a0b0c0d',
    ],
  ])('is recognised on any port by its long header: %s', (_name, text, summary) => {
    const layers = layersOf(4433, hex(text));
    expect(layers[2]).toMatchObject({ protocol: 'QUIC', summary });
    expect(layers[2].problem).toBeUndefined();
  });

  it('lists versions, tokens and tags', () => {
    const negotiation = layersOf(4433, hex('8000000000', IDS, '00000001 6b3343cf'))[2];
    const versions = negotiation.fields.filter(({ name }) => name === 'Supported Version');
    expect(versions.map(({ value, note }) => [value, note])).toEqual([
      ['0x00000001', 'v1'],
      ['0x6b3343cf', 'v2'],
    ]);
    const retry = layersOf(4433, hex('f000000001', IDS, '746f6b656e', '77'.repeat(16)))[2];
    expect(valuesOf(retry)).toMatchObject({ 'Retry Token': '5 bytes', 'Retry Integrity Tag': '16 bytes' });
  });

  it.each([
    ['a length beyond the end', `c000000001 ${IDS} 00 20 99`, /length says 32 bytes, 1 are there/],
    ['a token beyond the end', `c000000001 ${IDS} 20 99`, /cut short/],
    ['a connection ID of 21 bytes', `c000000001 15 ${'11'.repeat(21)} 00 00 01 99`, /at most 20/],
    ['a connection ID cut short', `c000000001 14 ${'11'.repeat(18)}`, /cut short/],
  ])('has a problem with %s on its port', (_name, text, problem) => {
    expect(layersOf(443, hex(text, '00'.repeat(0)))[2]?.problem ?? 'cut short: too few for QUIC').toMatch(
      problem,
    );
  });

  it('stops at zeros behind its packets', () => {
    const layers = layersOf(443, hex('e000000001', IDS, '01 99', '00'.repeat(5)));
    expect(protocolsOf(layers)).toEqual(['IPv4', 'UDP', 'QUIC', 'Trailer']);
  });

  it('short header: the connection ID as long as one was told', () => {
    const payload = hex('61 0102030405060708', '99'.repeat(20));
    const [, , unknown] = layersOf(443, payload);
    expect(unknown.summary).toBe('short header length 28');
    const [, , known] = layersOf(443, payload, { quicCidLength: 8 });
    expect(known.summary).toBe('short header dcid 0102030405060708 length 20');
    expect(valuesOf(known)).toMatchObject({
      'Spin Bit': '1',
      'Destination Connection ID': '0102030405060708',
    });
    expect(layersOf(443, payload, { quicCidLength: 200 })[2].problem).toMatch(/29 of at least 201 bytes/);
  });

  it('a short header is not seen on other ports', () => {
    expect(protocolsOf(layersOf(4433, hex('61', '99'.repeat(30))))).toEqual(['IPv4', 'UDP', 'Payload']);
  });
});
