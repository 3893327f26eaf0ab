import { describe, expect, it } from 'vitest';
import { Flow, IcmpClass, readIcmp, readTransportFlow } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { fourTuple, fourTupleKey } from '../../src/flow/four-tuple.js';
import { createDissector, DISSECTOR_NAMES } from '../../src/flow/registry.js';
import { IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';
import { CLIENT4, CLIENT6, makePacket, makeTooBig, VIP4, VIP6 } from '../path/packets.js';

function parse(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  expect(packet.parse(data, 0, bytes.length)).toBe(Reason.Ok);
  return packet;
}

function keyOf(flow: Flow): string {
  const key = new FlowKey();
  key.bytes.fill(0xa5);
  const length = fourTupleKey(flow, key);
  expect(key.length).toBe(length);
  return Buffer.from(key.bytes.subarray(0, length)).toString('hex');
}

describe('4-tuple', () => {
  it('of IPv4: both addresses and both ports in network order', () => {
    const flow = new Flow();
    readTransportFlow(parse(makePacket({ sourcePort: 0x1234, destinationPort: 0x5678 })), flow);
    expect(keyOf(flow)).toBe('c6336407c000020a12345678');
  });

  it('of IPv6, for UDP as for TCP', () => {
    const flow = new Flow();
    readTransportFlow(
      parse(makePacket({ version: 6, protocol: 'udp', sourcePort: 1, destinationPort: 0xfffe })),
      flow,
    );
    expect(keyOf(flow)).toBe('20010db8000c0000000000000000000720010db80100000000000000000000100001fffe');
  });

  it('is found by its name', () => {
    expect(DISSECTOR_NAMES).toContain('four-tuple');
    const context = { servers: [], protocols: [] };
    const spec = (name: string) => ({ name, module: null, options: {} });
    expect(createDissector(spec('four-tuple'), context).name).toBe(fourTuple.name);
    expect(() => createDissector(spec('nothing'), context)).toThrow('there is no dissector named nothing');
  });
});

describe('transport flow', () => {
  it('has flags and sequence number of TCP, and none of UDP', () => {
    const flow = new Flow();
    expect(readTransportFlow(parse(makePacket({ flags: 0x12, sequence: 0xfedcba98 })), flow)).toBe(Reason.Ok);
    expect(flow).toMatchObject({ protocol: 6, tcpFlags: 0x12, sequence: 0xfedcba98 | 0, quoted: 0 });
    expect(readTransportFlow(parse(makePacket({ protocol: 'udp' })), flow)).toBe(Reason.Ok);
    expect(flow).toMatchObject({ protocol: 17, tcpFlags: 0, sequence: 0 });
  });

  it('finds ports behind IPv4 options', () => {
    const plain = makePacket({ sourcePort: 7 });
    const bytes = new Uint8Array(plain.length + 8).fill(1);
    bytes.set(plain.subarray(0, 20));
    bytes.set(plain.subarray(20), 28);
    bytes[0] = 0x47;
    new DataView(bytes.buffer).setUint16(2, bytes.length);
    const flow = new Flow();
    expect(readTransportFlow(parse(bytes), flow)).toBe(Reason.Ok);
    expect(flow.sourcePort).toBe(7);
  });

  it.each([
    ['tcp', 19],
    ['udp', 7],
  ] as const)('refuses a truncated %s header', (protocol, room) => {
    const bytes = makePacket({ protocol }).slice(0, 20 + room);
    new DataView(bytes.buffer).setUint16(2, bytes.length);
    expect(readTransportFlow(parse(bytes), new Flow())).toBe(Reason.Truncated);
  });
});

describe('ICMP errors', () => {
  it.each([4, 6] as const)(
    "yield the quoted IPv%i flow, reversed: the key of the client's own packets",
    (version) => {
      const [vip, client] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
      const fromClient = new Flow();
      readTransportFlow(parse(makePacket({ version, sourcePort: 40_000, destinationPort: 80 })), fromClient);
      const reply = makePacket({
        version,
        source: vip,
        destination: client,
        sourcePort: 80,
        destinationPort: 40_000,
      });
      const flow = new Flow();
      expect(readIcmp(parse(makeTooBig(reply, 1280)), new IpPacket(), flow)).toBe(IcmpClass.FlowError);
      expect(flow).toMatchObject({ quoted: 1, tcpFlags: 0, protocol: 6 });
      expect(keyOf(flow)).toBe(keyOf(fromClient));
    },
  );

  it.each([
    [4, 3, IcmpClass.FlowError],
    [4, 11, IcmpClass.FlowError],
    [4, 12, IcmpClass.FlowError],
    [4, 0, IcmpClass.Other],
    [4, 5, IcmpClass.Other],
    [4, 8, IcmpClass.Other],
    [6, 1, IcmpClass.FlowError],
    [6, 2, IcmpClass.FlowError],
    [6, 3, IcmpClass.FlowError],
    [6, 4, IcmpClass.FlowError],
    [6, 128, IcmpClass.Other],
    [6, 135, IcmpClass.Other],
  ] as const)('IPv%i type %i', (version, type, expected) => {
    const reply = makePacket({ version, source: version === 4 ? VIP4 : VIP6 });
    const error = makeTooBig(reply, 1280);
    error[version === 4 ? 20 : 40] = type;
    expect(readIcmp(parse(error), new IpPacket(), new Flow())).toBe(expected);
  });

  it('about another protocol, another family, or a later fragment have no flow', () => {
    const reply = makePacket({ source: VIP4 });
    const about = (change: (quote: Uint8Array) => void) => {
      const error = makeTooBig(reply, 1280);
      change(error.subarray(28));
      return readIcmp(parse(error), new IpPacket(), new Flow());
    };
    expect(
      about((quote) => {
        quote[9] = 47;
      }),
    ).toBe(IcmpClass.Other);
    expect(
      about((quote) => {
        quote[0] = 0x65;
      }),
    ).toBe(IcmpClass.Malformed);
    expect(
      about((quote) => {
        quote[7] = 1;
      }),
    ).toBe(IcmpClass.FragmentError);
    expect(
      about((quote) => {
        quote[0] = 0x42;
      }),
    ).toBe(IcmpClass.Malformed);
  });
});
