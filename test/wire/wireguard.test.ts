import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  transportChecksum,
  verifyTransportChecksum,
  writeTransportChecksum,
} from '../../src/wire/checksum.js';
import { IP_PROTOCOL_UDP, IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into } from '../../src/wire/ipv4.js';
import { encodeIpv6Into } from '../../src/wire/ipv6.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeUdpInto, UdpView } from '../../src/wire/udp.js';
import {
  encodeWireguardInto,
  WIREGUARD_COOKIE,
  WIREGUARD_DATA,
  WIREGUARD_INITIATION,
  WIREGUARD_RESPONSE,
  WireguardView,
  wireguardLength,
} from '../../src/wire/wireguard.js';
import { concat, construct, dataOf, hex } from './bytes.js';

// Laid out by the table in section 5.4 of the WireGuard paper; what is encrypted is filled with a pattern.
const INITIATION = hex(
  '01000000 aabbccdd',
  '11'.repeat(32),
  '22'.repeat(48),
  '33'.repeat(28),
  '44'.repeat(32),
);
const RESPONSE = hex('02000000 aabbccdd 01020304', '55'.repeat(32), '66'.repeat(16), '77'.repeat(32));
const COOKIE = hex('03000000 01020304', '88'.repeat(24), '99'.repeat(32));
const KEEPALIVE = hex('04000000 01020304 0807060504030201', 'aa'.repeat(16));
const WARP_DATA = hex('04c0ffee 01020304 0000000000000000', 'bb'.repeat(32));

const view = new WireguardView();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

describe('WireguardView', () => {
  it.each([
    ['initiation', INITIATION, { type: 1, clientid: 0, sender: 0xddccbbaa, receiver: 0, counter: 0n }],
    ['response', RESPONSE, { type: 2, clientid: 0, sender: 0xddccbbaa, receiver: 0x04030201, counter: 0n }],
    ['cookie reply', COOKIE, { type: 3, clientid: 0, sender: 0, receiver: 0x04030201, counter: 0n }],
    [
      'keepalive',
      KEEPALIVE,
      { type: 4, clientid: 0, sender: 0, receiver: 0x04030201, counter: 0x0102030405060708n },
    ],
    ['WARP data', WARP_DATA, { type: 4, clientid: 0xc0ffee, receiver: 0x04030201, counter: 0n, end: 48 }],
  ])('reads: %s', (_name, bytes, fields) => {
    expect(attach(bytes)).toBe(Reason.Ok);
    expect(view).toMatchObject(fields);
  });

  it.each([
    ['type 0', hex('00000000', '00'.repeat(28)), Reason.UnknownType],
    ['type 5', hex('05000000', '00'.repeat(28)), Reason.UnknownType],
    ['the type as a big-endian word', hex('00000001', '00'.repeat(144)), Reason.UnknownType],
    ['an initiation with something behind it', concat(INITIATION, hex('00')), Reason.BadLength],
    ['a response with something behind it', concat(RESPONSE, hex('00')), Reason.BadLength],
    ['a cookie reply with something behind it', concat(COOKIE, hex('00')), Reason.BadLength],
    ['a response that calls itself cookie reply', RESPONSE.with(0, 3), Reason.BadLength],
    ['a response that calls itself initiation', RESPONSE.with(0, 1), Reason.Truncated],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(attach(bytes)).toBe(reason);
  });

  it('refuses every truncation', () => {
    for (const bytes of [INITIATION, RESPONSE, COOKIE, KEEPALIVE]) {
      for (let length = 0; length < bytes.length; length++) {
        expect(attach(bytes.subarray(0, length))).toBe(Reason.Truncated);
      }
    }
  });
});

it('wireguardLength: by type', () => {
  expect([0, 1, 2, 3, 4, 5].map(wireguardLength)).toEqual([0, 148, 92, 64, 32, 0]);
});

describe('encodeWireguardInto', () => {
  it('writes what the view reads', () => {
    const types = [WIREGUARD_INITIATION, WIREGUARD_RESPONSE, WIREGUARD_COOKIE, WIREGUARD_DATA];
    const message = fc.constantFrom(...types).chain((type) =>
      fc.record({
        type: fc.constant(type),
        clientid: fc.nat(0xffffff),
        body: fc.uint8Array({ minLength: wireguardLength(type) - 4, maxLength: wireguardLength(type) - 4 }),
      }),
    );
    fc.assert(
      fc.property(message, ({ type, clientid, body }) => {
        const bytes = construct((data, offset) => encodeWireguardInto(data, offset, type, clientid, body));
        expect(attach(bytes)).toBe(Reason.Ok);
        expect(view).toMatchObject({ type, clientid });
        expect(bytes.subarray(4)).toEqual(body);
      }),
    );
  });
});

describe('setClientid', () => {
  const packet = new IpPacket();
  const udp = new UdpView();

  /** The message as a datagram over IPv4 or IPv6, with its checksum. */
  function datagram(version: number, message: Uint8Array): Uint8Array {
    const header = version === 4 ? 20 : 40;
    const bytes = concat(new Uint8Array(header + 8), message);
    const data = dataOf(bytes);
    const length = 8 + message.length;
    if (version === 4) encodeIpv4Into(data, 0, bytes.length, IP_PROTOCOL_UDP, 0xc6336401, 0xc0000201);
    else encodeIpv6Into(data, 0, length, IP_PROTOCOL_UDP, new Uint8Array(16).fill(1), new Uint8Array(16));
    encodeUdpInto(data, header, 51_820, 2408, length);
    expect(packet.parse(data, 0, bytes.length)).toBe(Reason.Ok);
    writeTransportChecksum(packet);
    expect(udp.attach(data, header, bytes.length)).toBe(Reason.Ok);
    expect(view.attach(data, udp.payload, udp.end)).toBe(Reason.Ok);
    return bytes;
  }

  it.each([4, 6])('makes a WARP message a stock one, over IPv%i', (version) => {
    const bytes = datagram(version, WARP_DATA);
    const stock = datagram(version, WARP_DATA.with(1, 0).with(2, 0).with(3, 0));
    packet.parse(dataOf(bytes), 0, bytes.length);
    udp.attach(dataOf(bytes), packet.transport, packet.end);
    view.attach(dataOf(bytes), udp.payload, udp.end);
    view.clearClientid(udp);
    expect(bytes).toEqual(stock);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
  });

  it('keeps the checksum as a full computation would have it', () => {
    const clientid = fc.oneof(fc.constantFrom(0, 0xffffff, 0xffff, 0xff0000), fc.nat(0xffffff));
    fc.assert(
      fc.property(clientid, clientid, fc.constantFrom(4, 6), (before, after, version) => {
        const message = Uint8Array.from(WARP_DATA);
        dataOf(message).setUint32(0, (WIREGUARD_DATA << 24) | before);
        datagram(version, message);
        view.setClientid(after, udp);
        expect(view).toMatchObject({ type: WIREGUARD_DATA, clientid: after, receiver: 0x04030201 });
        expect(udp.checksum).toBe(transportChecksum(packet));
      }),
    );
  });

  it('leaves a UDP checksum of 0 alone', () => {
    datagram(4, WARP_DATA);
    packet.data.setUint16(packet.transport + 6, 0);
    view.clearClientid(udp);
    expect(view.clientid).toBe(0);
    expect(udp.checksum).toBe(0);
  });
});
