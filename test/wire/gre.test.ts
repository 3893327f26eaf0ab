import { describe, expect, it } from 'vitest';
import { encodeGreInto, GRE_PROTOCOL_IPV4, GRE_PROTOCOL_IPV6, GreView } from '../../src/wire/gre.js';
import { IP_PROTOCOL_GRE, IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';
import { construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';
import { slowChecksum } from './slow-checksum.js';

const view = new GreView();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

describe('GreView', () => {
  it.each([
    ['IPv4', frames.CLS_GRE4, GRE_PROTOCOL_IPV4, 4],
    ['IPv6', frames.CLS_GRE6, GRE_PROTOCOL_IPV6, 6],
  ])('reads what the redirector of Cloudflare sends, wrapping %s', (_name, bytes, protocolType, version) => {
    const packet = new IpPacket();
    expect(packet.parse(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
    expect(packet.protocol).toBe(IP_PROTOCOL_GRE);
    expect(view.attach(packet.data, packet.transport, packet.end)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      headerLength: 4,
      protocolType,
      hasChecksum: false,
      hasKey: false,
      hasSequence: false,
      checksum: 0,
      key: 0,
      sequence: 0,
    });
    expect(view.verifyChecksum()).toBe(Reason.Ok);
    expect(packet.parse(view.data, view.payload, view.end)).toBe(Reason.Ok);
    expect(packet.version).toBe(version);
  });

  const checksum = 'c0de0000';
  const key = '11223344';
  const sequence = '55667788';

  it.each([
    ['checksum', '80000800', checksum, 8, { checksum: 0xc0de, key: 0, sequence: 0 }],
    ['key', '20000800', key, 8, { checksum: 0, key: 0x11223344, sequence: 0 }],
    ['sequence', '10000800', sequence, 8, { checksum: 0, key: 0, sequence: 0x55667788 }],
    ['checksum, key', 'a0000800', checksum + key, 12, { checksum: 0xc0de, key: 0x11223344, sequence: 0 }],
    ['key, sequence', '30000800', key + sequence, 12, { key: 0x11223344, sequence: 0x55667788 }],
    ['checksum, sequence', '90000800', checksum + sequence, 12, { checksum: 0xc0de, sequence: 0x55667788 }],
    [
      'all three',
      'b0000800',
      checksum + key + sequence,
      16,
      { checksum: 0xc0de, key: 0x11223344, sequence: 0x55667788 },
    ],
  ])('reads the optional fields: %s', (_name, base, fields, headerLength, values) => {
    const bytes = hex(base, fields);
    expect(attach(bytes)).toBe(Reason.Ok);
    expect(view).toMatchObject({ headerLength, payload: headerLength, ...values });
    for (let length = 0; length < bytes.length; length++) {
      expect(attach(bytes.subarray(0, length))).toBe(Reason.Truncated);
    }
  });

  it('verifies a checksum over header and payload', () => {
    const bytes = hex('80000800 00000000 4500001c00');
    dataOf(bytes).setUint16(4, slowChecksum(bytes));
    expect(attach(bytes)).toBe(Reason.Ok);
    expect(view.verifyChecksum()).toBe(Reason.Ok);
    expect(attach(bytes.with(12, 1))).toBe(Reason.Ok);
    expect(view.verifyChecksum()).toBe(Reason.BadChecksum);
  });

  it.each([
    ['version 1 (PPTP)', '2001880b', Reason.BadVersion],
    ['version 7', '00070800', Reason.BadVersion],
    ['RFC 1701 routing', '40000800', Reason.UnsupportedFlags],
    ['RFC 1701 strict source route', '08000800', Reason.UnsupportedFlags],
    ['RFC 1701 recursion', '04000800', Reason.UnsupportedFlags],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(attach(hex(bytes, '00'.repeat(16)))).toBe(reason);
  });

  it('ignores bits 6 to 12, as RFC 2784 has it', () => {
    expect(attach(hex('03f80800'))).toBe(Reason.Ok);
    expect(view.headerLength).toBe(4);
  });
});

describe('encodeGreInto', () => {
  it('writes what the redirector of Cloudflare writes', () => {
    const four = construct((data, offset) => encodeGreInto(data, offset, GRE_PROTOCOL_IPV4));
    expect(toHex(four)).toBe(toHex(frames.CLS_GRE4.subarray(20, 24)));
    const six = construct((data, offset) => encodeGreInto(data, offset, GRE_PROTOCOL_IPV6));
    expect(toHex(six)).toBe(toHex(frames.CLS_GRE6.subarray(20, 24)));
  });
});
