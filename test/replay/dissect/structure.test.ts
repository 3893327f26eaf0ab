import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dissect, MAX_DEPTH, MAX_LAYERS, oneLine, tree } from '../../../src/replay/dissect/dissect.js';
import { ipOffset } from '../../../src/wire/link.js';
import { runs } from '../../fuzz.js';
import { makePacket, makeTooBig, wrapPacket } from '../../path/packets.js';
import { readVectors } from '../../vectors.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';
import * as frames from '../../wire/frames.js';
import { ETHERNET, ethernet, expectSound, ipv4, ipv6, protocolsOf, RAW, udp } from './support.js';

/** What holds whatever the bytes are. */

const LINK_TYPES = [0, 1, 101, 108, 113, 228, 229, 276, 147];

const SAMPLES: readonly Uint8Array[] = [
  ...Object.values(frames),
  makePacket({ version: 6, payload: 100 }),
  makeTooBig(makePacket(), 1400),
  makeTooBig(makePacket({ version: 6 }), 1400),
  wrapPacket(makePacket(), { hops: ['10.0.2.1', '10.0.3.1'], nextHop: 1 }),
  udp(5000, 51820, hex('01c0ffee', '11'.repeat(144))),
  udp(5000, 51820, hex('04000000', '11'.repeat(60))),
  udp(5000, 443, hex('c000000001088394c8f03e5157080000449e7b9aec34')),
  udp(443, 5000, hex('c0 00000001 00 00 00 05 0102030405 e0 00000001 00 00 4003 0a0b0c 40 11223344')),
  udp(5000, 5001, hex('80 00000000 08 0102030405060708 00 00000001 6b3343cf')),
  ipv4(50, hex('00001000 00000001', 'ee'.repeat(20))),
  ipv4(51, hex('06040000 00001000 00000001 aabbccddeeff001122334455', '00'.repeat(20))),
  ipv4(47, concat(hex('b0006558 0000 0000 00000001 00000002'), ethernet(0x0800, makePacket()))),
  ipv6(0, hex('3c 01 00 00 c2 04 00010000 01 04 00000000', '06 00 05 02 0000 01 00', '00'.repeat(20))),
  ipv6(43, hex('3b 02 04 01 00 00 0000', '20010db8', '00'.repeat(12))),
  ipv6(58, hex('87000000 00000000', 'fe80', '00'.repeat(13), '01', '0101020000000001')),
  ipv6(58, hex('86000000 40c00708 00000000 00000000 0101020000000001 0501000000000578')),
];

const LINKS: readonly (readonly [number, Uint8Array])[] = [
  [0, hex('02000000')],
  [1, hex('020000000001 020000000002 0800')],
  [1, hex('020000000001 020000000002 88a8 0064 8100 a00a 0800')],
  [1, hex('ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 0a000001 000000000000')],
  [108, hex('00000002')],
  [113, hex('0004 0001 0006 020000000001 0000 0800')],
  [276, hex('0800 0000 00000003 0001 04 06 020000000001 0000')],
  [101, new Uint8Array(0)],
];

function look(bytes: Uint8Array, linkType: number): void {
  const layers = dissect(bytes, linkType);
  expectSound(bytes, layers);
  expect(layers.length).toBeLessThanOrEqual(MAX_LAYERS + 2 * MAX_DEPTH);
  expect(oneLine(layers)).toMatch(/^[^\n]+$/);
  expect(tree(layers).length).toBeGreaterThanOrEqual(layers.length);
  // The same bytes elsewhere, and cut by a snap length, which is no news for the layers but for their problems.
  const moved = concat(new Uint8Array(3), bytes).subarray(3);
  expect(dissect(moved, linkType)).toEqual(layers);
  expectSound(bytes, dissect(bytes, linkType, { originalLength: bytes.length + 100, quicCidLength: 8 }));
}

describe('dissect', () => {
  it('gives every byte of the samples one field', () => {
    for (const sample of SAMPLES) {
      for (const [linkType, header] of LINKS) look(concat(header, sample), linkType);
      look(concat(ethernet(0x0800, sample), new Uint8Array(6)), ETHERNET);
    }
  });

  it('and of every truncation of them', () => {
    for (const sample of SAMPLES) {
      for (let length = 0; length < Math.min(sample.length, 150); length++)
        look(sample.subarray(0, length), RAW);
    }
    for (const [linkType, header] of LINKS) {
      for (let length = 0; length < header.length; length++) look(header.subarray(0, length), linkType);
    }
  });

  it('survives samples with bytes changed, cut anywhere', () => {
    const change = fc.tuple(
      fc.nat(120),
      fc.oneof(fc.nat(255), fc.constantFrom(0, 4, 6, 41, 44, 50, 58, 59, 0xff)),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...LINKS),
        fc.constantFrom(...SAMPLES),
        fc.array(change, { maxLength: 4 }),
        fc.nat(200),
        ([linkType, header], sample, changes, length) => {
          const bytes = concat(header, sample).slice(0, length);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          look(bytes, linkType);
        },
      ),
      runs(1500),
    );
  });

  it('survives random bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...LINK_TYPES), fc.uint8Array({ maxLength: 300 }), (linkType, bytes) => {
        look(bytes, linkType);
      }),
      runs(2000),
    );
  });

  it('survives random payloads behind a sound header of each kind', () => {
    const wrap = fc.constantFrom<(payload: Uint8Array) => Uint8Array>(
      ...[0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 135].flatMap((protocol) => [
        (payload: Uint8Array) => ipv4(protocol, payload),
        (payload: Uint8Array) => ipv6(protocol, payload),
      ]),
      ...[443, 6080, 51820].map((port) => (payload: Uint8Array) => udp(port, port, payload)),
      (payload) => ipv4(1, concat(hex('0304000000000578'), payload)),
      (payload) => ipv6(58, concat(hex('0200000000000578'), payload)),
    );
    fc.assert(
      fc.property(wrap, fc.uint8Array({ maxLength: 200 }), (around, payload) => {
        look(around(payload), RAW);
      }),
      runs(1500),
    );
  });

  it("takes all packets of Cloudflare's vectors apart", () => {
    interface Vectors {
      readonly cases: readonly { readonly in?: string; readonly out?: string }[];
    }
    const text = JSON.stringify(readVectors<Vectors>('cls-redirect'));
    const packets = [...text.matchAll(/"([0-9a-f]{60,})"/g)].map(([, digits]) => hex(digits));
    expect(packets.length).toBeGreaterThan(2000);
    for (const bytes of packets.slice(0, 1000)) expectSound(bytes, dissect(bytes, ETHERNET));
  });
});

describe('the bounds', () => {
  it('reads 32 headers around one another and leaves the rest', () => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < 100; i++) bytes = ipv4(4, bytes);
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers).toHaveLength(MAX_DEPTH + 1);
    expect(layers.at(-1)).toMatchObject({
      protocol: 'Payload',
      problem: expect.stringContaining('too many'),
    });
  });

  it('reads so many packets of one datagram', () => {
    const bytes = udp(1, 443, hex('c000000001000000 00'.repeat(5000)));
    const layers = dissect(bytes, RAW);
    expectSound(bytes, layers);
    expect(layers).toHaveLength(MAX_LAYERS + 1);
  });

  it('has no trouble with the longest packets', () => {
    const options = new Uint8Array(2046);
    const header = concat(hex('00ff'), options);
    const bytes = ipv6(0, concat(...Array.from({ length: 31 }, () => header)));
    expectSound(bytes, dissect(bytes, RAW));
  });
});

it('finds the IP header where the path does', () => {
  const link = fc.constantFrom(...LINKS);
  const change = fc.tuple(fc.nat(24), fc.constantFrom(0, 2, 8, 0x45, 0x60, 0x81, 0x86, 0x88, 0xa8, 0xdd));
  fc.assert(
    fc.property(
      link,
      fc.array(change, { maxLength: 3 }),
      fc.nat(80),
      ([linkType, header], changes, length) => {
        const bytes = concat(header, makePacket()).slice(0, length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const offset = ipOffset(linkType, dataOf(bytes), 0, bytes.length);
        const first = dissect(bytes, linkType).find(
          ({ protocol }) => protocol === 'IPv4' || protocol === 'IPv6',
        );
        if (offset >= 0) expect(first?.offset).toBe(offset);
        else expect(first).toBeUndefined();
      },
    ),
    runs(2000),
  );
});

it('an unknown link type is payload, an empty packet nothing', () => {
  const layers = dissect(hex('0102'), 147);
  expect(protocolsOf(layers)).toEqual(['Link type 147']);
  expect(oneLine(layers)).toBe('Link type 147 2 bytes');
  expect(dissect(new Uint8Array(0), RAW)).toEqual([]);
  expect(oneLine([])).toBe('empty');
  expect(dataOf(hex('00')).byteLength).toBe(1);
});
