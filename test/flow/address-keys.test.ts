import { describe, expect, it } from 'vitest';
import { Flow, IcmpClass, readIcmp } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { IpPacket } from '../../src/wire/ip.js';
import { addressBytes, CLIENT4, CLIENT6, makePacket, makeTooBig, VIP4, VIP6 } from '../path/packets.js';
import { make, outcomeOf } from './dissect.js';

const hex = (...addresses: string[]) =>
  addresses.map((address) => Buffer.from(addressBytes(address)).toString('hex')).join('');

describe.each([
  ['two-tuple', hex(CLIENT4, VIP4), hex(CLIENT6, VIP6)],
  ['source-address', hex(CLIENT4), hex(CLIENT6)],
])('%s', (name, key4, key6) => {
  const dissector = make(name);

  it('is the same for all ports and protocols', () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const sourcePort of [1, 65535]) {
        expect(outcomeOf(dissector, makePacket({ protocol, sourcePort }))).toBe(`key ${key4}`);
        expect(outcomeOf(dissector, makePacket({ version: 6, protocol, sourcePort }))).toBe(`key ${key6}`);
      }
    }
  });

  it.each([4, 6] as const)('is told by an ICMP error over IPv%i too', (version) => {
    const [source, destination] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
    const error = makeTooBig(makePacket({ version, source, destination }), 1300);
    const packet = new IpPacket();
    packet.parse(new DataView(error.buffer), 0, error.length);
    const flow = new Flow();
    expect(readIcmp(packet, new IpPacket(), flow)).toBe(IcmpClass.FlowError);
    const key = new FlowKey();
    const length = dissector.dissectQuoted?.(flow, key) ?? 0;
    expect(Buffer.from(key.bytes.subarray(0, length)).toString('hex')).toBe(version === 4 ? key4 : key6);
  });
});
