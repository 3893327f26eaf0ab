import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeIpv4Into, IPV4_DF, IPV4_MF, Ipv4View } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { concat, construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';
import { slowChecksum } from './slow-checksum.js';

const view = new Ipv4View();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

const header = fc.record({
  totalLength: fc.integer({ min: 20, max: 1500 }),
  protocol: fc.nat(255),
  source: fc.nat(0xffffffff),
  destination: fc.nat(0xffffffff),
  ttl: fc.nat(255),
  flagsAndOffset: fc.nat(0xffff),
  identification: fc.nat(0xffff),
  tos: fc.nat(255),
});

type Header = typeof header extends fc.Arbitrary<infer Fields> ? Fields : never;

function encode(fields: Header): Uint8Array {
  return construct((data, offset) =>
    encodeIpv4Into(
      data,
      offset,
      fields.totalLength,
      fields.protocol,
      fields.source,
      fields.destination,
      fields.ttl,
      fields.flagsAndOffset,
      fields.identification,
      fields.tos,
    ),
  );
}

describe('Ipv4View', () => {
  it('reads a packet from a live capture', () => {
    const bytes = concat(frames.WIKIPEDIA_IPV4, new Uint8Array(95));
    expect(attach(bytes)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      headerLength: 20,
      tos: 0,
      totalLength: 115,
      identification: 0,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      isFragment: false,
      ttl: 64,
      protocol: 17,
      checksum: 0xb861,
      source: 0xc0a80001,
      destination: 0xc0a800c7,
      payload: 20,
      end: 115,
    });
    expect(view.verifyChecksum()).toBe(Reason.Ok);
    expect([...view.options()]).toEqual([]);
  });

  it('reads a packet with options, in the middle of a buffer', () => {
    const bytes = concat(hex('ffffff'), frames.KATRAN_TCP4_OPTIONS, hex('ffff'));
    expect(view.attach(dataOf(bytes), 3, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({ headerLength: 24, identification: 1, payload: 27, end: 62, ttl: 64 });
    expect(view.verifyChecksum()).toBe(Reason.Ok);
    expect([...view.options()]).toEqual([{ type: 0, offset: 23, length: 1 }]);
  });

  it.each([
    ['a whole packet', 0, false, 0, false],
    ['a first fragment', IPV4_MF, true, 0, true],
    ['a middle fragment', IPV4_MF | 185, true, 1480, true],
    ['a last fragment', 0x1fff, false, 65_528, true],
  ])('tells %s', (_name, flagsAndOffset, moreFragments, fragmentOffset, isFragment) => {
    const bytes = construct((data, offset) => encodeIpv4Into(data, offset, 20, 17, 1, 2, 64, flagsAndOffset));
    expect(attach(bytes)).toBe(Reason.Ok);
    expect(view).toMatchObject({ moreFragments, fragmentOffset, isFragment, dontFragment: false });
  });

  it.each([
    ['version 6', 0, 0x65, Reason.BadVersion],
    ['IHL 4', 0, 0x44, Reason.BadHeaderLength],
    ['IHL beyond the buffer', 0, 0x4f, Reason.Truncated],
    ['total length below the header', 3, 19, Reason.BadLength],
    ['total length beyond the buffer', 3, 56, Reason.BadLength],
  ])('refuses %s', (_name, at, value, reason) => {
    expect(attach(frames.KATRAN_TCP4.with(at, value))).toBe(reason);
  });

  it('refuses every truncation', () => {
    const bytes = frames.KATRAN_TCP4_OPTIONS;
    for (let length = 0; length < bytes.length; length++) {
      const reason = attach(bytes.subarray(0, length));
      expect(reason).toBe(length < 24 ? Reason.Truncated : Reason.BadLength);
    }
  });

  it('stays where it was when it cannot attach', () => {
    expect(attach(frames.KATRAN_TCP4)).toBe(Reason.Ok);
    expect(attach(hex('45'))).toBe(Reason.Truncated);
    expect(view.source).toBe(0xc0a80101);
  });

  it('notices a flipped bit in the header', () => {
    expect(attach(frames.KATRAN_TCP4.with(15, 0))).toBe(Reason.Ok);
    expect(view.verifyChecksum()).toBe(Reason.BadChecksum);
  });
});

describe('setters', () => {
  it('keep the checksum as a full computation would have it', () => {
    fc.assert(
      fc.property(
        header,
        fc.nat(0xffffffff),
        fc.nat(0xffffffff),
        fc.nat(255),
        (fields, source, destination, ttl) => {
          const bytes = encode({ ...fields, totalLength: 20 });
          expect(attach(bytes)).toBe(Reason.Ok);
          view.setSource(source);
          view.setDestination(destination);
          view.setTtl(ttl);
          const { protocol } = fields;
          expect(view).toMatchObject({ source, destination, ttl, protocol });
          expect(view.checksum).toBe(slowChecksum(bytes.with(10, 0).with(11, 0)));
        },
      ),
    );
  });

  it('leave a wrong checksum wrong', () => {
    const bytes = frames.KATRAN_TCP4.with(11, 0);
    expect(attach(bytes)).toBe(Reason.Ok);
    view.setSource(0x01020304);
    expect(view.verifyChecksum()).toBe(Reason.BadChecksum);
  });
});

describe('encodeIpv4Into', () => {
  it('writes the header of a known packet, and the same by its defaults', () => {
    const known = construct((data, offset) =>
      encodeIpv4Into(data, offset, 115, 17, 0xc0a80001, 0xc0a800c7, 64, IPV4_DF, 0, 0),
    );
    expect(toHex(known)).toBe(toHex(frames.WIKIPEDIA_IPV4));
    const byDefault = construct((data, offset) =>
      encodeIpv4Into(data, offset, 115, 17, 0xc0a80001, 0xc0a800c7),
    );
    expect(toHex(byDefault)).toBe(toHex(known));
  });

  it('writes what the view reads', () => {
    fc.assert(
      fc.property(header, (fields) => {
        const bytes = concat(encode(fields), new Uint8Array(fields.totalLength - 20));
        expect(attach(bytes)).toBe(Reason.Ok);
        const { flagsAndOffset, ...rest } = fields;
        expect(view).toMatchObject(rest);
        expect(view.dontFragment).toBe((flagsAndOffset & IPV4_DF) !== 0);
        expect(view.moreFragments).toBe((flagsAndOffset & IPV4_MF) !== 0);
        expect(view.fragmentOffset).toBe((flagsAndOffset & 0x1fff) * 8);
        expect(view.verifyChecksum()).toBe(Reason.Ok);
      }),
    );
  });
});
