import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { AF_PACKET, libc, NativeMemory, SOCK_DGRAM } from '../../src/io/libc.js';
import { SuperTunPort } from '../../src/io/super-tun.js';
import { TunPort } from '../../src/io/tun.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { fragmentsOf, makeEsp, makePacket } from '../path/packets.js';
import { describePrivileged } from '../privileged.js';
import { batchOf } from './packets.js';
import { enterPrivateNetwork, ip, sysctl } from './private-network.js';

const NAME = 'tun-spread';
const QUEUES = 3;

describePrivileged('queues of a TUN device', ['root', 'tun', 'namespaces', 'ip'], () => {
  let queues: TunPort[] = [];
  let socket = -1;
  let index = 0;

  beforeAll(() => {
    enterPrivateNetwork();
    sysctl('net/ipv6/conf/default/disable_ipv6', 1);
    socket = libc().socket(AF_PACKET, SOCK_DGRAM, 0);
  });
  beforeEach(() => {
    queues = Array.from({ length: QUEUES }, () => TunPort.open({ name: NAME, multiQueue: true }));
    ip(`link set ${NAME} up`);
    index = JSON.parse(ip(`-j link show ${NAME}`))[0].ifindex;
  });
  afterEach(() => {
    for (const queue of queues) queue.close();
  });

  /** Sends a packet out of the device, past routing. @returns the queue it came to */
  function queueOf(packet: Uint8Array): number {
    const name = new NativeMemory(20);
    name.data.setUint16(0, AF_PACKET, true);
    name.data.setUint16(2, packet[0] >>> 4 === 4 ? 0x0800 : 0x86dd);
    name.data.setInt32(4, index, true);
    const bytes = new NativeMemory(packet.length);
    bytes.bytes.set(packet);
    expect(libc().sendto(socket, bytes.address, packet.length, 0, name.address, 20)).toBe(packet.length);
    const batch = new PacketBatch();
    const came = queues.map((queue) => {
      batch.clear();
      return queue.receive(batch);
    });
    expect(came.reduce((sum, count) => sum + count)).toBe(1);
    return came.indexOf(1);
  }

  const flows = ([4, 6] as const).flatMap((version) =>
    (['tcp', 'udp'] as const).flatMap((protocol) =>
      Array.from({ length: 100 }, (_, i) => ({ version, protocol, sourcePort: 1024 + 7 * i })),
    ),
  );

  it('have a fair share of the flows each', () => {
    const shares = new Array<number>(QUEUES).fill(0);
    for (const flow of flows) shares[queueOf(makePacket(flow))]++;
    expect(Math.min(...shares)).toBeGreaterThan(flows.length / QUEUES / 2);
  });

  it('keep their flows, whatever the packets carry and whoever else writes packets of them', () => {
    for (const flow of flows) {
      const queue = queueOf(makePacket(flow));
      for (let payload = 0; payload < QUEUES; payload++) {
        const packet = makePacket({ ...flow, payload, sequence: payload, flags: payload });
        queues[payload].send(batchOf([packet], Action.Deliver), Action.Deliver);
        expect(queueOf(packet)).toBe(queue);
      }
    }
  });

  it('take the ports from behind IPv4 options', () => {
    const seen = new Set<number>();
    for (let sourcePort = 1; sourcePort < 60; sourcePort++) {
      const plain = makePacket({ sourcePort });
      const packet = Uint8Array.from([...plain.subarray(0, 20), 1, 1, 1, 1, ...plain.subarray(20)]);
      packet[0] = 0x46;
      packet[3] += 4;
      expect(queueOf(packet)).toBe(queueOf(plain));
      seen.add(queueOf(packet));
    }
    expect(seen.size).toBe(QUEUES);
  });

  it('get all fragments of a packet, and what has no ports, by its addresses', () => {
    const seen = new Set<number>();
    for (const version of [4, 6] as const) {
      for (let i = 1; i < 60; i++) {
        const address = version === 4 ? `198.51.100.${i}` : `2001:db8:c::${i}`;
        const packet = makePacket({
          version,
          protocol: 'udp',
          source: address,
          sourcePort: 999 + i,
          payload: 64,
        });
        const fragments = fragmentsOf(packet, 24);
        const queue = queueOf(fragments[0]);
        for (const fragment of fragments) expect(queueOf(fragment)).toBe(queue);
        expect(queueOf(makeEsp(new Uint8Array(40).fill(i), { version, source: address }))).toBe(queue);
        seen.add(queue);
      }
    }
    expect(seen.size).toBe(QUEUES);
  });

  it('spread by other keys at every start, so that nobody can know which flows meet in one queue', () => {
    const places = () => flows.map((flow) => queueOf(makePacket(flow))).join('');
    const before = places();
    expect(places()).toBe(before);
    queues.push(TunPort.open({ name: NAME, multiQueue: true }));
    queues.pop()?.close();
    expect(places()).not.toBe(before);
  });

  it('take packets that are shorter than their headers', () => {
    for (const length of [1, 8, 19, 20, 23]) expect(queueOf(makePacket().subarray(0, length))).toBe(0);
    expect(queueOf(makePacket({ version: 6 }).subarray(0, 41))).toBe(0);
  });

  it('are spread so with offload too', () => {
    for (const queue of queues.splice(0)) queue.close();
    const ports = Array.from({ length: QUEUES }, () => SuperTunPort.open({ name: NAME, multiQueue: true }));
    expect(ports.map((port) => port.spreadReason)).toEqual(['', '', '']);
    for (const port of ports) port.close();
  });
});
