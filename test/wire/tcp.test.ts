import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyTransportChecksum, writeTransportChecksum } from '../../src/wire/checksum.js';
import { IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into, Ipv4View } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeTcpInto, TCP_ACK, TCP_SYN, TcpView } from '../../src/wire/tcp.js';
import { concat, construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';

const view = new TcpView();

describe('TcpView', () => {
  it('reads a segment that another system made', () => {
    const bytes = frames.KATRAN_TCP4;
    expect(view.attach(dataOf(bytes), 20, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      sourcePort: 31_337,
      destinationPort: 80,
      sequence: 0,
      acknowledgment: 0,
      headerLength: 20,
      flags: TCP_ACK,
      window: 8192,
      checksum: 0x27e4,
      urgentPointer: 0,
      payload: 40,
      end: 55,
    });
    expect([...view.options()]).toEqual([]);
  });

  it('reads options', () => {
    const bytes = hex('0050 c350 00000001 00000000 7002 ffff 0000 0000 020405b4 01010402');
    expect(view.attach(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({ headerLength: 28, payload: 28, end: 28, flags: TCP_SYN });
    expect([...view.options()].map((option) => option.type)).toEqual([2, 1, 1, 4]);
  });

  it.each([
    ['data offset 4', 0x40, Reason.BadHeaderLength],
    ['data offset 0', 0x00, Reason.BadHeaderLength],
    ['data offset beyond the segment', 0x90, Reason.Truncated],
  ])('refuses %s', (_name, value, reason) => {
    const bytes = frames.KATRAN_TCP4.with(32, value);
    expect(view.attach(dataOf(bytes), 20, bytes.length)).toBe(reason);
  });

  it('refuses every truncation of the header', () => {
    for (let length = 0; length < 20; length++) {
      expect(view.attach(dataOf(frames.KATRAN_TCP4), 20, 20 + length)).toBe(Reason.Truncated);
    }
  });
});

describe('encodeTcpInto', () => {
  it('writes the header of a known segment', () => {
    const bytes = construct((data, offset) =>
      encodeTcpInto(data, offset, 31_337, 80, 0, 0, TCP_ACK, 8192, 0x27e4),
    );
    expect(toHex(bytes)).toBe(toHex(frames.KATRAN_TCP4.subarray(20, 40)));
  });

  it('writes what the view reads', () => {
    const header = fc.record({
      sourcePort: fc.nat(0xffff),
      destinationPort: fc.nat(0xffff),
      sequence: fc.nat(0xffffffff),
      acknowledgment: fc.nat(0xffffffff),
      flags: fc.nat(255),
      window: fc.nat(0xffff),
      checksum: fc.nat(0xffff),
      urgentPointer: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(header, (fields) => {
        const bytes = construct((data, offset) =>
          encodeTcpInto(
            data,
            offset,
            fields.sourcePort,
            fields.destinationPort,
            fields.sequence,
            fields.acknowledgment,
            fields.flags,
            fields.window,
            fields.checksum,
            fields.urgentPointer,
          ),
        );
        expect(view.attach(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
        expect(view).toMatchObject(fields);
        expect(view.headerLength).toBe(20);
      }),
    );
  });
});

describe('setters', () => {
  it('keep the checksum right, whatever changes', () => {
    const packet = new IpPacket();
    const ip = new Ipv4View();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 9 }),
        fc.array(fc.nat(0xffffffff), { minLength: 6, maxLength: 6 }),
        (payload, [source, destination, port, sequence, acknowledgment, other]) => {
          const bytes = concat(new Uint8Array(40), payload);
          const data = dataOf(bytes);
          encodeIpv4Into(data, 0, bytes.length, 6, source, destination);
          encodeTcpInto(data, 20, 1234, 80, 1, 2, TCP_SYN);
          bytes.set(payload, 40);
          expect(packet.parse(data, 0, bytes.length)).toBe(Reason.Ok);
          expect(writeTransportChecksum(packet)).toBe(Reason.Ok);

          expect(view.attach(data, 20, bytes.length)).toBe(Reason.Ok);
          expect(ip.attach(data, 0, bytes.length)).toBe(Reason.Ok);
          view.setSourcePort(port & 0xffff);
          view.setDestinationPort(port >>> 16);
          view.setSequence(sequence);
          view.setAcknowledgment(acknowledgment);
          view.setFlags(other & 0xff);
          view.setWindow(other >>> 16);
          ip.setDestination(other);
          view.patchChecksum32(destination, other);
          expect(view).toMatchObject({
            sourcePort: port & 0xffff,
            destinationPort: port >>> 16,
            sequence,
            acknowledgment,
            headerLength: 20,
            flags: other & 0xff,
            window: other >>> 16,
          });
          const incremental = view.checksum;
          expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
          writeTransportChecksum(packet);
          expect(incremental).toBe(view.checksum);
        },
      ),
    );
  });
});
