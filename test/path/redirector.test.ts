import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Redirector } from '../../src/path/redirector.js';
import { SocketState } from '../../src/path/sockets.js';
import { PathState } from '../../src/path/state.js';
import { VERDICTS } from '../../src/path/verdict.js';
import { checksum } from '../../src/wire/checksum.js';
import { TCP_ACK } from '../../src/wire/tcp.js';
import { CLIENT4, makePacket, makeTooBig, VIP4, wrapPacket } from './packets.js';
import { FakeSockets, pathConfig, THIRD } from './support.js';

const TRAFFICSETS = [
  { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'] },
  { name: 'game', kind: 'udp-flow', vips: ['192.0.2.0/25'], ports: [{ first: 7000, last: 7999 }] },
  { name: 'dns', kind: 'request-response', vips: ['192.0.2.0/25'], ports: [{ first: 53, last: 53 }] },
] as const;
const STATE = new PathState(pathConfig(TRAFFICSETS));

function redirect(packet: Uint8Array, sockets = new FakeSockets(), state = STATE) {
  const batch = new PacketBatch({ capacity: 1 });
  batch.push(packet);
  const counters = new PathCounters(TRAFFICSETS.length);
  new Redirector(state, counters, sockets, 1).process(batch);
  return {
    verdict: VERDICTS[batch.verdict[0]].name,
    nextHop: batch.nextHop[0],
    bytes: Uint8Array.from(batch.packet(0)),
    counters,
  };
}

const established = () => new FakeSockets(() => SocketState.Established);
const listening = () => new FakeSockets(() => SocketState.Listening);
const HOPS = { hops: ['10.0.3.1'] };
const ack = makePacket({ flags: TCP_ACK });

describe('redirector, TCP', () => {
  it.each([4, 6] as const)('unwraps a SYN over IPv%i', (version) => {
    const inner = makePacket({ version });
    const result = redirect(wrapPacket(inner, HOPS));
    expect(result.verdict).toBe('accept_syn');
    expect(result.bytes).toEqual(inner);
  });

  it('unwraps what has a socket here, and what has nowhere else to go', () => {
    expect(redirect(wrapPacket(ack, HOPS), established()).verdict).toBe('accept_established');
    expect(redirect(wrapPacket(ack)).verdict).toBe('accept_last_hop');
    expect(redirect(wrapPacket(ack, { hops: ['0.0.0.0'] })).verdict).toBe('accept_last_hop');
    expect(redirect(wrapPacket(ack, { ...HOPS, nextHop: 1 })).verdict).toBe('accept_last_hop');
    expect(redirect(wrapPacket(ack, { hops: ['10.0.1.1'] })).verdict).toBe('accept_self');
  });

  it.each([
    ['no socket', new FakeSockets()],
    ['only a listener', listening()],
  ])('sends on what has %s here', (_what, sockets) => {
    const result = redirect(wrapPacket(ack, HOPS), sockets);
    expect(result.verdict).toBe('redirect');
    expect(result.nextHop).toBe(THIRD);
    // The same packet, one step further: new outer addresses, next_hop 1, and a right header checksum.
    const expected = wrapPacket(ack, {
      source: '10.0.1.1',
      destination: '10.0.3.1',
      hops: ['10.0.3.1'],
      nextHop: 1,
    });
    expect(result.bytes).toEqual(expected);
  });

  it('keeps a non-zero outer UDP checksum right', () => {
    const packet = wrapPacket(ack, HOPS);
    const data = new DataView(packet.buffer);
    const udpLength = packet.length - 20;
    const sum = (bytes: DataView) => {
      const addresses = bytes.getUint16(12) + bytes.getUint16(14) + bytes.getUint16(16) + bytes.getUint16(18);
      return checksum(bytes, 20, udpLength, addresses + 17 + udpLength);
    };
    data.setUint16(26, sum(data));
    const result = redirect(packet);
    expect(result.verdict).toBe('redirect');
    expect(sum(new DataView(result.bytes.buffer))).toBe(0);
  });

  it('honours forward_syn', () => {
    const packet = wrapPacket(makePacket(), HOPS);
    packet[32] = 0x08;
    expect(redirect(packet, established()).verdict).toBe('redirect');
    const last = wrapPacket(makePacket());
    last[32] = 0x08;
    expect(redirect(last).verdict).toBe('accept_syn');
  });

  it('walks a list of many hops one at a time', () => {
    const hops = ['10.0.9.1', '10.0.3.1', '10.0.4.1'];
    expect(redirect(wrapPacket(ack, { hops, nextHop: 1 })).nextHop).toBe(THIRD);
  });
});

describe('redirector, UDP', () => {
  const game = makePacket({ protocol: 'udp', destinationPort: 7001 });
  const dns = makePacket({ protocol: 'udp', destinationPort: 53 });

  it('flows: a connected socket decides, everything else belongs to the second hop', () => {
    expect(redirect(wrapPacket(game, HOPS), established()).verdict).toBe('accept_established');
    expect(redirect(wrapPacket(game, HOPS), listening()).verdict).toBe('redirect');
    expect(redirect(wrapPacket(game, HOPS)).verdict).toBe('redirect');
    expect(redirect(wrapPacket(game)).verdict).toBe('accept_last_hop');
  });

  it('request-response: no socket is asked', () => {
    const sockets = new FakeSockets();
    expect(redirect(wrapPacket(dns, HOPS), sockets).verdict).toBe('accept_last_hop');
    expect(sockets.asked).toEqual([]);
  });
});

describe('redirector, ICMP errors', () => {
  const reply = makePacket({ source: VIP4, destination: CLIENT4, sourcePort: 80, destinationPort: 40_000 });
  const error = makeTooBig(reply, 1300);

  it('follow the quoted flow', () => {
    expect(redirect(wrapPacket(error, HOPS), established()).verdict).toBe('accept_icmp_error');
    expect(redirect(wrapPacket(error, HOPS)).verdict).toBe('redirect');
    expect(redirect(wrapPacket(error)).verdict).toBe('accept_icmp_error');
    expect(redirect(wrapPacket(error)).bytes).toEqual(error);
  });
});

describe('redirector, what it refuses', () => {
  function bent(
    change: (packet: Uint8Array, data: DataView) => void,
    hops: readonly string[] = HOPS.hops,
  ): string {
    const packet = wrapPacket(ack, { hops });
    change(packet, new DataView(packet.buffer));
    return redirect(packet, established()).verdict;
  }

  it('strangers, other addresses and ports, other protocols', () => {
    expect(redirect(wrapPacket(ack, { source: '10.1.2.1' })).verdict).toBe('drop_stranger');
    expect(redirect(wrapPacket(ack, { source: '198.51.100.7' })).verdict).toBe('drop_stranger');
    expect(redirect(wrapPacket(ack, { destination: '10.0.2.1' })).verdict).toBe('drop_not_ours');
    expect(redirect(wrapPacket(ack, { port: 6081 })).verdict).toBe('drop_not_ours');
    expect(redirect(ack).verdict).toBe('drop_not_ours');
  });

  it('wrappers for what it does not serve', () => {
    expect(redirect(wrapPacket(makePacket({ destination: '203.0.113.5' }))).verdict).toBe('drop_not_vip');
    expect(redirect(wrapPacket(makePacket({ protocol: 'udp', destinationPort: 99 }))).verdict).toBe(
      'drop_not_vip',
    );
    expect(redirect(wrapPacket(makePacket({ destination: '10.0.1.1', destinationPort: 22 }))).verdict).toBe(
      'drop_not_vip',
    );
  });

  it('GUE that it does not understand', () => {
    expect(
      bent((packet) => {
        packet[28] |= 0x40;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[28] |= 0x20;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[31] = 1;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[32] = 0x10;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[32] = 0x04;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[33] = 1;
      }),
    ).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[29] = 41;
      }),
    ).toBe('drop_malformed_ip');
    expect(
      bent((packet) => {
        packet[29] = 6;
      }),
    ).toBe('drop_malformed_ip');
  });

  it('hop lists that lie', () => {
    expect(
      bent((packet) => {
        packet[34] = 2;
      }),
    ).toBe('drop_hop_list');
    expect(
      bent((packet) => {
        packet[35] = 0;
      }),
    ).toBe('drop_hop_list');
    expect(
      bent((packet) => {
        packet[35] = 2;
      }),
    ).toBe('drop_hop_list');
    expect(
      bent((packet) => {
        packet[28] = 1;
      }),
    ).toBe('drop_hop_list');
    expect(
      bent((packet) => {
        packet[28] = 31;
        packet[35] = 30;
      }),
    ).toBe('drop_hop_list');
    expect(bent(() => {}, ['8.8.8.8'])).toBe('drop_hop_list');
    expect(bent(() => {}, ['192.0.2.10'])).toBe('drop_hop_list');
  });

  it('outer fragments and outer headers that are not whole', () => {
    expect(bent((_, data) => data.setUint16(6, 0x2000))).toBe('drop_fragment');
    expect(bent((_, data) => data.setUint16(2, 35))).toBe('drop_malformed_gue');
    expect(
      bent((packet) => {
        packet[0] = 0x44;
      }),
    ).toBe('drop_malformed_gue');
    expect(redirect(wrapPacket(ack).subarray(0, 19)).verdict).toBe('drop_malformed_gue');
  });
});
