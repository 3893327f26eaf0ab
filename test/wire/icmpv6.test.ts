import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyTransportChecksum } from '../../src/wire/checksum.js';
import {
  encodeIcmpv6EchoInto,
  encodeIcmpv6ErrorInto,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_PACKET_TOO_BIG,
  Icmpv6View,
  isIcmpv6Error,
} from '../../src/wire/icmpv6.js';
import { IP_PROTOCOL_ICMPV6, IpPacket } from '../../src/wire/ip.js';
import { encodeIpv6Into } from '../../src/wire/ipv6.js';
import { Reason } from '../../src/wire/reason.js';
import { construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';

const view = new Icmpv6View();
/** Where the addresses lie in a packet that starts at 0. */
const ADDRESSES = 8;

describe('Icmpv6View', () => {
  it('reads an echo request that another system made', () => {
    const bytes = frames.KATRAN_ECHO6;
    expect(view.attach(dataOf(bytes), 40, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      type: ICMPV6_ECHO_REQUEST,
      code: 0,
      checksum: 0x87b6,
      rest: 0,
      identifier: 0,
      sequence: 0,
      isError: false,
      end: 48,
    });
    expect(view.verifyChecksum(ADDRESSES)).toBe(Reason.Ok);
  });

  it('reads an error, finds the quoted packet, and sees that its checksum is wrong', () => {
    const bytes = frames.KATRAN_PACKET_TOO_BIG;
    expect(view.attach(dataOf(bytes), 40, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      type: ICMPV6_PACKET_TOO_BIG,
      code: 0,
      isError: true,
      mtu: 1280,
      quotedOffset: 48,
      end: 126,
    });
    expect(view.verifyChecksum(ADDRESSES)).toBe(Reason.BadChecksum);
  });

  it('refuses less than eight bytes', () => {
    for (let length = 0; length < 8; length++) {
      expect(view.attach(dataOf(new Uint8Array(length)), 0, length)).toBe(Reason.Truncated);
    }
  });
});

it('isIcmpv6Error: destination unreachable, packet too big, time exceeded, parameter problem', () => {
  const errors = Array.from({ length: 256 }, (_, type) => type).filter(isIcmpv6Error);
  expect(errors).toEqual([1, 2, 3, 4]);
});

describe('encoders', () => {
  const source = hex('fc000002000000000000000000000001');
  const destination = hex('fc000001000000000000000000000001');

  /** A whole packet, because the checksum covers its addresses. */
  function packetOf(
    bodyLength: number,
    write: (data: DataView, at: number, addresses: number) => number,
  ): Uint8Array {
    return construct((data, offset) => {
      const payload = 8 + bodyLength;
      const at = offset + encodeIpv6Into(data, offset, payload, IP_PROTOCOL_ICMPV6, source, destination);
      return 40 + write(data, at, offset + ADDRESSES);
    });
  }

  it('write a known echo request', () => {
    const bytes = packetOf(0, (data, at, addresses) =>
      encodeIcmpv6EchoInto(data, at, addresses, ICMPV6_ECHO_REQUEST, 0, 0, new Uint8Array(0)),
    );
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_ECHO6));
  });

  it('write echoes that the view reads', () => {
    const word = fc.nat(0xffff);
    const packet = new IpPacket();
    fc.assert(
      fc.property(word, word, fc.uint8Array({ maxLength: 99 }), (identifier, sequence, payload) => {
        const bytes = packetOf(payload.length, (data, at, addresses) =>
          encodeIcmpv6EchoInto(data, at, addresses, ICMPV6_ECHO_REQUEST, identifier, sequence, payload),
        );
        expect(view.attach(dataOf(bytes), 40, bytes.length)).toBe(Reason.Ok);
        expect(view).toMatchObject({ type: 128, code: 0, identifier, sequence });
        expect(view.verifyChecksum(ADDRESSES)).toBe(Reason.Ok);
        expect(packet.parse(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
        expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
        expect(bytes.subarray(view.quotedOffset)).toEqual(payload);
      }),
    );
  });

  it('write errors that the view reads', () => {
    const fields = fc.record({
      type: fc.constantFrom(1, 2, 3, 4),
      code: fc.nat(7),
      rest: fc.nat(0xffffffff),
    });
    fc.assert(
      fc.property(fields, fc.uint8Array({ minLength: 48, maxLength: 99 }), ({ type, code, rest }, quote) => {
        const bytes = packetOf(quote.length, (data, at, addresses) =>
          encodeIcmpv6ErrorInto(data, at, addresses, type, code, rest, quote),
        );
        expect(view.attach(dataOf(bytes), 40, bytes.length)).toBe(Reason.Ok);
        expect(view).toMatchObject({ type, code, rest, mtu: rest, isError: true });
        expect(view.verifyChecksum(ADDRESSES)).toBe(Reason.Ok);
        expect(bytes.subarray(view.quotedOffset, view.end)).toEqual(quote);
      }),
    );
  });
});
