import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeIcmpEchoInto,
  encodeIcmpErrorInto,
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  IcmpView,
  isIcmpError,
} from '../../src/wire/icmp.js';
import { Reason } from '../../src/wire/reason.js';
import { construct, dataOf, toHex } from './bytes.js';
import * as frames from './frames.js';
import { slowChecksum } from './slow-checksum.js';

const view = new IcmpView();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

describe('IcmpView', () => {
  it('reads an echo request that another system made', () => {
    expect(attach(frames.KATRAN_ECHO4.subarray(20))).toBe(Reason.Ok);
    expect(view).toMatchObject({
      type: ICMP_ECHO_REQUEST,
      code: 0,
      checksum: 0xf7ff,
      rest: 0,
      identifier: 0,
      sequence: 0,
      isError: false,
      isFragmentationNeeded: false,
      end: 8,
    });
    expect(view.verifyChecksum()).toBe(Reason.Ok);
  });

  it('reads an error and finds the quoted packet', () => {
    const bytes = frames.KATRAN_FRAGMENTATION_NEEDED;
    expect(view.attach(dataOf(bytes), 20, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      type: ICMP_DESTINATION_UNREACHABLE,
      code: ICMP_FRAGMENTATION_NEEDED,
      isError: true,
      isFragmentationNeeded: true,
      nextHopMtu: 0,
      quotedOffset: 28,
      end: 83,
    });
    expect(view.verifyChecksum()).toBe(Reason.Ok);
  });

  it('notices a flipped bit', () => {
    expect(attach(frames.KATRAN_ECHO4.subarray(20).with(7, 1))).toBe(Reason.Ok);
    expect(view.verifyChecksum()).toBe(Reason.BadChecksum);
  });

  it('refuses less than eight bytes', () => {
    for (let length = 0; length < 8; length++) {
      expect(attach(new Uint8Array(length))).toBe(Reason.Truncated);
    }
  });
});

it('isIcmpError: destination unreachable, time exceeded, parameter problem', () => {
  const errors = Array.from({ length: 256 }, (_, type) => type).filter(isIcmpError);
  expect(errors).toEqual([3, 11, 12]);
});

describe('encoders', () => {
  it('write a known echo request', () => {
    const bytes = construct((data, offset) =>
      encodeIcmpEchoInto(data, offset, ICMP_ECHO_REQUEST, 0, 0, new Uint8Array(0)),
    );
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_ECHO4.subarray(20)));
  });

  it('write a known error', () => {
    const known = frames.KATRAN_FRAGMENTATION_NEEDED.subarray(20);
    const bytes = construct((data, offset) =>
      encodeIcmpErrorInto(data, offset, 3, ICMP_FRAGMENTATION_NEEDED, 0, known.subarray(8)),
    );
    expect(toHex(bytes)).toBe(toHex(known));
  });

  it('write echoes that the view reads', () => {
    const word = fc.nat(0xffff);
    fc.assert(
      fc.property(word, word, fc.uint8Array({ maxLength: 99 }), (identifier, sequence, payload) => {
        const bytes = construct((data, offset) =>
          encodeIcmpEchoInto(data, offset, ICMP_ECHO_REQUEST, identifier, sequence, payload),
        );
        expect(attach(bytes)).toBe(Reason.Ok);
        expect(view).toMatchObject({ type: 8, code: 0, identifier, sequence, end: 8 + payload.length });
        expect(view.checksum).toBe(slowChecksum(bytes.with(2, 0).with(3, 0)));
        expect(bytes.subarray(view.quotedOffset)).toEqual(payload);
      }),
    );
  });

  it('write errors that the view reads', () => {
    const fields = fc.record({
      type: fc.constantFrom(3, 11, 12),
      code: fc.nat(15),
      rest: fc.nat(0xffffffff),
    });
    fc.assert(
      fc.property(fields, fc.uint8Array({ minLength: 28, maxLength: 99 }), ({ type, code, rest }, quote) => {
        const bytes = construct((data, offset) => encodeIcmpErrorInto(data, offset, type, code, rest, quote));
        expect(attach(bytes)).toBe(Reason.Ok);
        expect(view).toMatchObject({ type, code, rest, nextHopMtu: rest & 0xffff, isError: true });
        expect(view.verifyChecksum()).toBe(Reason.Ok);
        expect(bytes.subarray(view.quotedOffset, view.end)).toEqual(quote);
      }),
    );
  });
});
