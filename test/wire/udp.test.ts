import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  transportChecksum,
  verifyTransportChecksum,
  writeTransportChecksum,
} from '../../src/wire/checksum.js';
import { IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into, Ipv4View } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeUdpInto, UdpView } from '../../src/wire/udp.js';
import { concat, construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';

const view = new UdpView();

describe('UdpView', () => {
  it('reads a datagram that another system made', () => {
    const bytes = concat(hex('ff'), frames.KATRAN_UDP4, hex('ffff'));
    expect(view.attach(dataOf(bytes), 21, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      sourcePort: 31_337,
      destinationPort: 80,
      length: 23,
      checksum: 0x97de,
      payload: 29,
      end: 44,
    });
  });

  it.each([
    ['length 0', 0],
    ['length 7', 7],
    ['a length beyond the packet', 24],
  ])('refuses %s', (_name, length) => {
    const bytes = frames.KATRAN_UDP4.with(25, length);
    expect(view.attach(dataOf(bytes), 20, bytes.length)).toBe(Reason.BadLength);
  });

  it('refuses every truncation', () => {
    const datagram = frames.KATRAN_UDP4.subarray(20);
    for (let length = 0; length < datagram.length; length++) {
      const reason = view.attach(dataOf(datagram.subarray(0, length)), 0, length);
      expect(reason).toBe(length < 8 ? Reason.Truncated : Reason.BadLength);
    }
  });
});

describe('encodeUdpInto', () => {
  it('writes the header of a known datagram', () => {
    const bytes = construct((data, offset) => encodeUdpInto(data, offset, 31_337, 80, 23, 0x97de));
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_UDP4.subarray(20, 28)));
  });

  it('writes what the view reads', () => {
    const header = fc.record({
      sourcePort: fc.nat(0xffff),
      destinationPort: fc.nat(0xffff),
      length: fc.integer({ min: 8, max: 1480 }),
      checksum: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(header, (fields) => {
        const { sourcePort, destinationPort, length, checksum } = fields;
        const written = construct((data, offset) =>
          encodeUdpInto(data, offset, sourcePort, destinationPort, length, checksum),
        );
        const bytes = concat(written, new Uint8Array(length - 8));
        expect(view.attach(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
        expect(view).toMatchObject(fields);
      }),
    );
  });

  it('writes no checksum by default', () => {
    const bytes = construct((data, offset) => encodeUdpInto(data, offset, 1, 2, 8));
    expect(toHex(bytes)).toBe('0001000200080000');
  });
});

describe('setters', () => {
  const packet = new IpPacket();
  const ip = new Ipv4View();

  function datagram(source: number, payload: Uint8Array): Uint8Array {
    const bytes = concat(new Uint8Array(28), payload);
    const data = dataOf(bytes);
    encodeIpv4Into(data, 0, bytes.length, 17, source, 0x0a000002);
    encodeUdpInto(data, 20, 1234, 53, bytes.length - 20);
    expect(packet.parse(data, 0, bytes.length)).toBe(Reason.Ok);
    expect(view.attach(data, 20, bytes.length)).toBe(Reason.Ok);
    expect(ip.attach(data, 0, bytes.length)).toBe(Reason.Ok);
    return bytes;
  }

  it('keep the checksum right, whatever changes', () => {
    const payload = fc.uint8Array({ minLength: 2, maxLength: 9 });
    const port = fc.nat(0xffff);
    fc.assert(
      fc.property(payload, fc.nat(0xffffffff), port, port, port, (content, source, from, to, word) => {
        datagram(0x0a000001, content);
        writeTransportChecksum(packet);
        view.setSourcePort(from);
        view.setDestinationPort(to);
        ip.setSource(source);
        view.patchChecksum32(0x0a000001, source);
        const before = packet.data.getUint16(28);
        packet.data.setUint16(28, word);
        view.patchChecksum16(before, word);
        expect(view).toMatchObject({ sourcePort: from, destinationPort: to });
        expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
        expect(view.checksum).toBe(transportChecksum(packet));
      }),
    );
  });

  it('leave a datagram without a checksum without one', () => {
    datagram(0x0a000001, hex('abcd'));
    view.setSourcePort(9);
    view.setDestinationPort(10);
    view.patchChecksum32(1, 2);
    expect(view.checksum).toBe(0);
  });

  it('pass through a checksum of zero as 0xffff', () => {
    datagram(0x0a000001, hex('0000'));
    writeTransportChecksum(packet);
    // A source port greater by the whole checksum makes the sum 0xffff, and the checksum zero.
    const port = 1234 + view.checksum;
    expect(port).toBeLessThan(0x10000);
    view.setSourcePort(port);
    expect(view.checksum).toBe(0xffff);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
    view.setSourcePort(1234);
    expect(view.checksum).toBe(transportChecksum(packet));
  });
});
