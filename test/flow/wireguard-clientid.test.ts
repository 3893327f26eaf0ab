import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyTransportChecksum } from '../../src/wire/checksum.js';
import { IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeWireguardInto, wireguardLength } from '../../src/wire/wireguard.js';
import { fragmentsOf, makePacket, makeUdp } from '../path/packets.js';
import { CONTEXT, make, outcomeOf } from './dissect.js';

const plain = make('wireguard-clientid');
const clearing = make('wireguard-clientid', { clear: true });

function message(type: number, clientid: number, length = wireguardLength(type)): Uint8Array {
  const bytes = new Uint8Array(length);
  encodeWireguardInto(new DataView(bytes.buffer), 0, type, clientid, new Uint8Array(length - 4).fill(0x77));
  return bytes;
}

function parse(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  packet.parse(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
  return packet;
}

describe('wireguard-clientid', () => {
  it.each([1, 2, 3, 4])('takes the clientid of messages of type %i, whatever addresses and ports', (type) => {
    for (const version of [4, 6] as const) {
      for (const sourcePort of [1, 51_820]) {
        const packet = makeUdp(message(type, 0x0a0b0c), { version, sourcePort });
        expect(outcomeOf(plain, packet)).toBe('key 0a0b0c');
      }
    }
  });

  it('leaves stock clients to their 4-tuple', () => {
    expect(outcomeOf(plain, makeUdp(message(1, 0)))).toBe('fallback');
    expect(outcomeOf(plain, makeUdp(message(4, 0, 100)))).toBe('fallback');
  });

  it('refuses what is no WireGuard message, with or without clientid', () => {
    expect(outcomeOf(plain, makeUdp(new Uint8Array(0)))).toBe('drop truncated');
    expect(outcomeOf(plain, makeUdp(Uint8Array.of(1, 2, 3)))).toBe('drop truncated');
    expect(outcomeOf(plain, makeUdp(message(0, 1, 40)))).toBe('drop unknown_type');
    expect(outcomeOf(plain, makeUdp(message(5, 1, 40)))).toBe('drop unknown_type');
    expect(outcomeOf(plain, makeUdp(message(1, 1, 147)))).toBe('drop bad_length');
    expect(outcomeOf(plain, makeUdp(message(1, 0, 149)))).toBe('drop bad_length');
    expect(outcomeOf(plain, makeUdp(message(2, 1, 93)))).toBe('drop bad_length');
    expect(outcomeOf(plain, makeUdp(message(3, 1, 63)))).toBe('drop bad_length');
    expect(outcomeOf(plain, makeUdp(message(4, 1, 31)))).toBe('drop bad_length');
    const lying = makeUdp(message(4, 1, 100));
    new DataView(lying.buffer).setUint16(24, 500);
    expect(outcomeOf(plain, lying)).toBe('drop truncated');
  });

  it('reads the first fragment of a message', () => {
    for (const version of [4, 6] as const) {
      const packet = makeUdp(message(4, 0x0a0b0c, 1400), { version });
      expect(outcomeOf(plain, fragmentsOf(packet, 512)[0])).toBe('key 0a0b0c');
      expect(outcomeOf(plain, fragmentsOf(packet, 8)[0])).toBe('drop truncated');
    }
  });

  it('clears the clientid right before delivery, and keeps the checksum right', () => {
    expect(plain.deliver).toBeUndefined();
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 3, 4),
        fc.nat(0xffffff),
        fc.constantFrom(4 as const, 6 as const),
        fc.nat(0xffff),
        (type, clientid, version, sourcePort) => {
          const stamped = makeUdp(message(type, clientid), { version, sourcePort });
          const stock = makeUdp(message(type, 0), { version, sourcePort });
          const packet = parse(stamped);
          clearing.deliver?.(packet);
          expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
          const header = version === 4 ? 20 : 40;
          // 0x0000 and 0xffff are the same sum: the checksum is right, not always the same.
          expect(stamped.subarray(header + 8)).toEqual(stock.subarray(header + 8));
        },
      ),
    );
  });

  it('leaves a checksum that is not there as it is', () => {
    const stamped = makeUdp(message(4, 1, 64));
    new DataView(stamped.buffer).setUint16(26, 0);
    clearing.deliver?.(parse(stamped));
    expect(new DataView(stamped.buffer).getUint16(26)).toBe(0);
    expect([...stamped.subarray(28, 32)]).toEqual([4, 0, 0, 0]);
  });

  it('changes nothing that is no WireGuard message', () => {
    const strangers = [new Uint8Array(0), Uint8Array.of(4, 1, 2), message(9, 1, 64), message(1, 1, 64)];
    for (const data of strangers) {
      // Bytes behind the packet are another's.
      const slot = new Uint8Array(256).fill(0xa5);
      slot.set(makeUdp(data));
      const before = Uint8Array.from(slot);
      const packet = new IpPacket();
      packet.parse(new DataView(slot.buffer), 0, 28 + data.length);
      clearing.deliver?.(packet);
      expect(slot).toEqual(before);
    }
  });

  it('clears the first fragment, with the checksum of the whole', () => {
    const packet = makeUdp(message(4, 0x0a0b0c, 1400));
    const [first, ...rest] = fragmentsOf(packet, 512);
    clearing.deliver?.(parse(first));
    const whole = Uint8Array.from([
      ...packet.subarray(0, 20),
      ...first.subarray(20),
      ...rest.flatMap((each) => [...each.subarray(20)]),
    ]);
    expect([...whole.subarray(28, 32)]).toEqual([4, 0, 0, 0]);
    expect(verifyTransportChecksum(parse(whole))).toBe(Reason.Ok);
  });

  it('never throws, and says something of every datagram', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        expect(outcomeOf(plain, makeUdp(data))).toMatch(/^(key ([0-9a-f]{6})|fallback|drop [a-z_]+)$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('is for UDP only', () => {
    expect(outcomeOf(plain, makePacket())).toBe('drop truncated');
    expect(() => make('wireguard-clientid', {}, { ...CONTEXT, protocols: [6] })).toThrow(
      'wireguard-clientid does not understand IP protocol 6',
    );
    expect(() => make('wireguard-clientid', { clera: true })).toThrow('unknown option clera');
  });
});
