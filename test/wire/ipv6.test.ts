import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeIpv6FragmentInto, encodeIpv6Into, Ipv6FragmentView, Ipv6View } from '../../src/wire/ipv6.js';
import { Reason } from '../../src/wire/reason.js';
import { concat, construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';

const view = new Ipv6View();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

describe('Ipv6View', () => {
  it('reads a packet that another system made', () => {
    const inner = frames.GLB_TCP6.subarray(20 + 8 + 12);
    const bytes = concat(hex('ffffff'), inner, hex('ffff'));
    expect(view.attach(dataOf(bytes), 3, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      trafficClass: 0x0a,
      flowLabel: 1,
      payloadLength: 20,
      nextHeader: 6,
      hopLimit: 64,
      sourceOffset: 11,
      destinationOffset: 27,
      payload: 43,
      end: 63,
    });
    expect([...view.extensions()]).toEqual([]);
  });

  it.each([
    ['version 4', 0, 0x45, Reason.BadVersion],
    ['a payload beyond the buffer', 5, 36, Reason.BadLength],
  ])('refuses %s', (_name, at, value, reason) => {
    expect(attach(frames.KATRAN_TCP6.with(at, value))).toBe(reason);
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < frames.KATRAN_TCP6.length; length++) {
      const reason = attach(frames.KATRAN_TCP6.subarray(0, length));
      expect(reason).toBe(length < 40 ? Reason.Truncated : Reason.BadLength);
    }
  });

  it('sets the hop limit and nothing else', () => {
    const bytes = Uint8Array.from(frames.KATRAN_TCP6);
    expect(attach(bytes)).toBe(Reason.Ok);
    view.setHopLimit(1);
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_TCP6.with(7, 1)));
  });
});

describe('extension headers, listed for explanations', () => {
  it('are listed in order', () => {
    expect(attach(frames.CLS_EXTENSIONS_FIVE)).toBe(Reason.Ok);
    expect([...view.extensions()]).toEqual([
      { type: 0, name: 'hop-by-hop options', offset: 40, length: 8, nextHeader: 60 },
      { type: 60, name: 'destination options', offset: 48, length: 8, nextHeader: 43 },
      { type: 43, name: 'routing', offset: 56, length: 8, nextHeader: 135 },
      { type: 135, name: 'mobility', offset: 64, length: 8, nextHeader: 60 },
      { type: 60, name: 'destination options', offset: 72, length: 8, nextHeader: 6 },
    ]);
  });

  function list(nextHeader: number, payload: Uint8Array): [number, number][] {
    const bytes = concat(new Uint8Array(40), payload);
    encodeIpv6Into(dataOf(bytes), 0, payload.length, nextHeader, new Uint8Array(16), new Uint8Array(16));
    expect(attach(bytes)).toBe(Reason.Ok);
    return [...view.extensions()].map(({ type, length }) => [type, length]);
  }

  it('have their lengths in three ways', () => {
    const authentication = hex('3c04 0000 00000001 00000001', '00'.repeat(12));
    const options = hex('2c01 0000', '00'.repeat(12));
    const atomic = hex('0600 0000 deadbeef');
    expect(list(51, concat(authentication, options, atomic))).toEqual([
      [51, 24],
      [60, 16],
      [44, 8],
    ]);
  });

  it('end behind the header of a later fragment, but not of a first one', () => {
    const options = hex('0600000000000000');
    expect(list(44, concat(hex('3c00 0008 00000001'), options))).toEqual([[44, 8]]);
    expect(list(44, concat(hex('3c00 0001 00000001'), options))).toEqual([
      [44, 8],
      [60, 8],
    ]);
  });

  it('end where one is cut off', () => {
    expect(list(0, hex('0000000000000000', '00000000000000'))).toEqual([[0, 8]]);
    expect(list(0, hex('0001000000000000'))).toEqual([]);
    expect(list(0, hex(''))).toEqual([]);
  });

  it('end at the ninth', () => {
    expect(list(0, new Uint8Array(8 * 100))).toHaveLength(8);
  });
});

describe('Ipv6FragmentView', () => {
  const fragment = new Ipv6FragmentView();

  it('reads an atomic fragment that another system made', () => {
    const bytes = frames.CLS_ATOMIC;
    expect(fragment.attach(dataOf(bytes), 40, bytes.length)).toBe(Reason.Ok);
    expect(fragment).toMatchObject({
      nextHeader: 6,
      fragmentOffset: 0,
      moreFragments: false,
      identification: 0xdeadbeef,
      isAtomic: true,
    });
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < 8; length++) {
      const bytes = new Uint8Array(length);
      expect(fragment.attach(dataOf(bytes), 0, length)).toBe(Reason.Truncated);
    }
  });

  it('reads what the encoder writes', () => {
    const units = fc.nat(0x1fff);
    fc.assert(
      fc.property(
        fc.nat(255),
        units,
        fc.boolean(),
        fc.nat(0xffffffff),
        (nextHeader, unit, moreFragments, id) => {
          const bytes = construct((data, offset) =>
            encodeIpv6FragmentInto(data, offset, nextHeader, 8 * unit, moreFragments, id),
          );
          expect(fragment.attach(dataOf(bytes), 0, 8)).toBe(Reason.Ok);
          expect(fragment).toMatchObject({
            nextHeader,
            fragmentOffset: 8 * unit,
            moreFragments,
            identification: id,
            isAtomic: unit === 0 && !moreFragments,
          });
        },
      ),
    );
  });
});

describe('encodeIpv6Into', () => {
  it('writes the header of a known packet', () => {
    const source = hex('fc000002000000000000000000000001');
    const destination = hex('fc000001000000000000000000000001');
    const bytes = construct((data, offset) => encodeIpv6Into(data, offset, 35, 6, source, destination));
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_TCP6.subarray(0, 40)));
  });

  it('writes what the view reads', () => {
    const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const header = fc.record({
      payloadLength: fc.nat(1500),
      nextHeader: fc.nat(255),
      hopLimit: fc.nat(255),
      trafficClass: fc.nat(255),
      flowLabel: fc.nat(0xfffff),
    });
    fc.assert(
      fc.property(header, address, address, (fields, source, destination) => {
        const written = construct((data, offset) =>
          encodeIpv6Into(
            data,
            offset,
            fields.payloadLength,
            fields.nextHeader,
            source,
            destination,
            fields.hopLimit,
            fields.trafficClass,
            fields.flowLabel,
          ),
        );
        const bytes = concat(written, new Uint8Array(fields.payloadLength));
        expect(attach(bytes)).toBe(Reason.Ok);
        expect(view).toMatchObject(fields);
        expect(bytes.subarray(view.sourceOffset, view.destinationOffset)).toEqual(source);
        expect(bytes.subarray(view.destinationOffset, view.payload)).toEqual(destination);
      }),
    );
  });
});
