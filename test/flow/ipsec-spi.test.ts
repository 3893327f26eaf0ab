import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeEsp, makePacket, makeUdp } from '../path/packets.js';
import { CONTEXT, make, outcomeOf } from './dissect.js';

const dissector = make('ipsec-spi', {}, { ...CONTEXT, protocols: [17, 50] });
const ESP = Uint8Array.of(0xc0, 1, 2, 3, 0, 0, 0, 1, ...new Array<number>(24).fill(9));
const IKE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, ...new Array<number>(20).fill(0));

describe('ipsec-spi', () => {
  it('takes the SPI of ESP, over IP and over UDP port 4500 alike', () => {
    for (const version of [4, 6] as const) {
      expect(outcomeOf(dissector, makeEsp(ESP, { version }))).toBe('key c0010203');
      expect(outcomeOf(dissector, makeUdp(ESP, { version, destinationPort: 4500 }))).toBe('key c0010203');
    }
  });

  it("takes the initiator's SPI of IKE, on port 500 and behind the marker on port 4500", () => {
    expect(outcomeOf(dissector, makeUdp(IKE, { destinationPort: 500 }))).toBe('key 0102030405060708');
    const marked = Uint8Array.of(0, 0, 0, 0, ...IKE);
    expect(outcomeOf(dissector, makeUdp(marked, { destinationPort: 4500 }))).toBe('key 0102030405060708');
  });

  it('leaves NAT keepalives, and what is neither, to the 4-tuple', () => {
    expect(outcomeOf(dissector, makeUdp(Uint8Array.of(0xff), { destinationPort: 4500 }))).toBe('fallback');
    expect(outcomeOf(dissector, makePacket())).toBe('fallback');
  });

  it('refuses what is cut, and SPIs that nobody can have', () => {
    expect(outcomeOf(dissector, makeEsp(ESP.subarray(0, 3)))).toBe('drop truncated');
    expect(outcomeOf(dissector, makeUdp(IKE.subarray(0, 7), { destinationPort: 500 }))).toBe(
      'drop truncated',
    );
    expect(outcomeOf(dissector, makeUdp(Uint8Array.of(1, 2), { destinationPort: 4500 }))).toBe(
      'drop truncated',
    );
    expect(outcomeOf(dissector, makeUdp(Uint8Array.of(0, 0, 0, 0, 1), { destinationPort: 4500 }))).toBe(
      'drop truncated',
    );
    expect(outcomeOf(dissector, makeEsp(Uint8Array.of(0, 0, 0, 255, 1, 1, 1, 1)))).toBe('drop reserved_spi');
    expect(outcomeOf(dissector, makeEsp(Uint8Array.of(0, 0, 1, 0, 1, 1, 1, 1)))).toBe('key 00000100');
  });

  it('says something of every datagram', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(500, 4500), (data, destinationPort) => {
        for (const packet of [makeUdp(data, { destinationPort }), makeEsp(data)]) {
          expect(outcomeOf(dissector, packet)).toMatch(
            /^(key ([0-9a-f]{8}|[0-9a-f]{16})|fallback|drop [a-z_]+)$/,
          );
        }
      }),
    );
  });
});
