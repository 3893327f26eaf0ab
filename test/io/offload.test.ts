import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Poller } from '../../src/io/poller.js';
import type { PacketSource } from '../../src/io/port.js';
import { Ring } from '../../src/io/ring.js';
import { SUPER_TUN_EXTRA, SuperTunPort } from '../../src/io/super-tun.js';
import { OFFLOAD_EXTRA, TrainReceiver } from '../../src/io/train-receiver.js';
import { TrainSender } from '../../src/io/train-sender.js';
import { type TunOptions, TunPort } from '../../src/io/tun.js';
import { GueReceiver } from '../../src/io/udp.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { finish } from '../path/offload-twins.js';
import { makePacket } from '../path/packets.js';
import { describePrivileged } from '../privileged.js';
import { ipv4, pattern, udpPacket } from './packets.js';
import { enterPrivateNetwork, ip, sysctl } from './private-network.js';

const ACK = 0x10;

/** All that a port has, or gets within a second, up to `count` packets; through small batches if wanted. */
function receive(port: PacketSource, count: number, capacity = 128): Buffer[] {
  const batch = new PacketBatch({ capacity, maxPacket: 9000, extra: OFFLOAD_EXTRA });
  const poller = new Poller([port.fd]);
  const packets: Buffer[] = [];
  while (packets.length < count && (port.pending === true || poller.wait(1000) > 0)) {
    batch.clear();
    port.receive(batch);
    for (let i = 0; i < batch.count; i++) {
      const packet = Buffer.from(batch.packet(i));
      // A kernel that forwards IPv6 reports its multicast groups on every device.
      if (packet[0] >>> 4 !== 6 || packet[24] !== 0xff) packets.push(packet);
    }
  }
  return packets;
}

function batchFor(packets: readonly Uint8Array[], action: Action, nextHop = 0): PacketBatch {
  const batch = new PacketBatch({ capacity: packets.length, maxPacket: 9000 });
  for (const packet of packets) {
    batch.push(packet);
    batch.action[batch.count - 1] = action;
    batch.nextHop[batch.count - 1] = nextHop;
  }
  return batch;
}

const hex = (packets: readonly Uint8Array[]) => packets.map((packet) => Buffer.from(packet).toString('hex'));

describeDevice('a TUN device with offloads', () => null);
describeDevice('a TUN device with offloads, read and written in batches', () => Ring.open());

function describeDevice(title: string, ring: () => Ring | null): void {
  describePrivileged(title, ['root', 'tun', 'namespaces', 'ip'], () => {
    const open: { close(): void }[] = [];
    function opened<T extends { close(): void }>(port: T): T {
      open.push(port);
      return port;
    }

    const superTun = (options: TunOptions) => SuperTunPort.open(options, ring());
    const isBatched = ring() !== null;

    beforeAll(() => {
      enterPrivateNetwork();
      sysctl('net/ipv4/ip_forward', 1);
      sysctl('net/ipv6/conf/all/forwarding', 1);
    });
    afterEach(() => {
      for (const port of open.splice(0)) port.close();
    });

    function up(name: string): void {
      ip(`link set ${name} addrgenmode none txqueuelen 1000 up`);
      sysctl(`net/ipv4/conf/${name}/rp_filter`, 0);
    }

    /** Two devices; the kernel forwards what is written into `from` to `to`, and takes one from the TTL. */
    function forwarding<T extends { close(): void }>(
      to: T & { name: string },
    ): { from: SuperTunPort; to: T } {
      const from = opened(superTun({ name: 'tun-from', mtu: 1500 }));
      sysctl('net/ipv4/conf/all/rp_filter', 0);
      up(from.name);
      up(to.name);
      ip(`route add 192.0.2.0/24 dev ${to.name}`);
      ip(`-6 route add 2001:db8:100::/64 dev ${to.name}`);
      ip(`route add 198.51.100.0/24 dev ${from.name}`);
      ip(`-6 route add 2001:db8:c::/64 dev ${from.name}`);
      return { from, to };
    }

    /** Packets of one flow that follow each other, as a sender's kernel cuts them. */
    function flow(version: 4 | 6, protocol: 'tcp' | 'udp', count: number, size: number): Uint8Array[] {
      return Array.from({ length: count }, (_, i) =>
        finish(
          makePacket({
            version,
            protocol,
            flags: i === count - 1 ? ACK | 0x08 : ACK,
            sequence: 7 + i * size,
            data: pattern(i === count - 1 ? size - 3 : size, i),
          }),
          100 + i,
        ),
      );
    }

    /** What forwarding makes of it. */
    function oneHopFurther(packet: Uint8Array): Uint8Array {
      const further = Uint8Array.from(packet);
      further[packet[0] >>> 4 === 4 ? 8 : 7]--;
      return finish(further, (packet[4] << 8) | packet[5]);
    }

    const flows = [
      [4, 'tcp'],
      [6, 'tcp'],
      [4, 'udp'],
      [6, 'udp'],
    ] as const;

    it.each(flows)(
      'takes a train with one call; the kernel makes the same packets of it: IPv%i %s',
      (version, protocol) => {
        const { from, to } = forwarding(opened(TunPort.open({ name: 'tun-to', mtu: 1500 })));
        const packets = flow(version, protocol, 40, 1400);
        expect(from.send(batchFor(packets, Action.Deliver), Action.Deliver)).toBe(40);
        const bytes = packets.reduce((sum, packet) => sum + packet.length, 0);
        expect(from.sent).toEqual({ packets: 40, bytes, calls: 1, errors: 0 });
        expect(hex(receive(to, 40))).toEqual(hex(packets.map(oneHopFurther)));
      },
    );

    it.each(flows)(
      'gives a train with one call, over several batches if need be: IPv%i %s',
      (version, protocol) => {
        const { from, to } = forwarding(opened(superTun({ name: 'tun-to', mtu: 1500 })));
        if (protocol === 'udp' && to.offload !== 'tcp+udp') return;
        const packets = flow(version, protocol, 40, 1400);
        from.send(batchFor(packets, Action.Deliver), Action.Deliver);
        expect(hex(receive(to, 40, 16))).toEqual(hex(packets.map(oneHopFurther)));
        // One call for the train, and few that find nothing more, or the kernel's own reports.
        expect(to.received.errors).toBe(0);
        expect(to.received.calls).toBeLessThan(12);
        expect(to.pending).toBe(false);
      },
    );

    it('carries what is no train one by one, and counts what the kernel refuses', () => {
      const { from, to } = forwarding(opened(superTun({ name: 'tun-to', mtu: 1500 })));
      const packets = [flow(4, 'tcp', 1, 100)[0], flow(6, 'udp', 1, 100)[0], flow(4, 'udp', 1, 1400)[0]];
      const batch = batchFor([...packets, Buffer.alloc(40, 0x10)], Action.Deliver);
      expect(from.send(batch, Action.Deliver)).toBe(3);
      expect(from.sent).toMatchObject({ packets: 3, calls: isBatched ? 1 : 4, errors: 1 });
      expect(hex(receive(to, 3))).toEqual(hex(packets.map(oneHopFurther)));
    });

    it('carries short packets many at once, in their order with trains among them', () => {
      const { from, to } = forwarding(opened(superTun({ name: 'tun-to', mtu: 1500 })));
      const short = (count: number) => Array.from({ length: count }, () => flow(4, 'tcp', 1, 100)[0]);
      const packets = [...short(70), ...flow(6, 'tcp', 30, 1400), ...short(28)];
      expect(from.send(batchFor(packets, Action.Deliver), Action.Deliver)).toBe(128);
      // 64 and 6 in front of the train.
      expect(from.sent.calls).toBe(isBatched ? 2 + 1 + 1 : 70 + 1 + 28);
      expect(hex(receive(to, 128, 100))).toEqual(hex(packets.map(oneHopFurther)));
      expect(to.received.errors).toBe(0);
      if (isBatched) expect(to.received.calls).toBeLessThan(30);
      else expect(to.received.calls).toBeGreaterThan(98);
    });

    it('leaves nothing behind that a port without offloads would stumble over', () => {
      opened(superTun({ name: 'tun-keep', persistent: true })).close();
      const plain = opened(TunPort.open({ name: 'tun-keep', persistent: false, mtu: 1500 }));
      const { from, to } = forwarding(plain);
      const packets = flow(4, 'tcp', 3, 1000);
      from.send(batchFor(packets, Action.Deliver), Action.Deliver);
      expect(hex(receive(to, 3))).toEqual(hex(packets.map(oneHopFurther)));
    });

    it('refuses batches without room for super-packets', () => {
      const port = opened(superTun({ name: 'tun-room', mtu: 1500 }));
      expect(() => port.receive(new PacketBatch())).toThrow(/0 bytes for super-packets/);
      expect(port.receive(new PacketBatch({ extra: SUPER_TUN_EXTRA }))).toBe(0);
    });
  });
}

describePrivileged('trains over the underlay', ['root', 'namespaces', 'ip'], () => {
  const HERE = ipv4('10.0.1.1');
  const THERE = ipv4('10.0.1.2');
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const setns = koffi.load('libc.so.6').func('setns', 'int', ['int', 'int']);
  const namespaces: number[] = [];
  const open: { close(): void }[] = [];
  let now = 1;

  /** What opens sockets or runs `ip` in there belongs to the other namespace. */
  function there<T>(work: () => T): T {
    setns(namespaces[1], 0);
    try {
      return work();
    } finally {
      setns(namespaces[0], 0);
    }
  }
  function opened<T extends { close(): void }>(port: T): T {
    open.push(port);
    return port;
  }

  beforeAll(() => {
    for (let i = 0; i < 2; i++) {
      enterPrivateNetwork();
      namespaces.push(openSync('/proc/self/ns/net', 'r'));
    }
    setns(namespaces[0], 0);
    ip(`link add u0 mtu 1600 type veth peer name u1 mtu 1600 netns /proc/${process.pid}/fd/${namespaces[1]}`);
    ip('addr add 10.0.1.1/24 dev u0');
    ip('link set u0 up');
    there(() => {
      ip('addr add 10.0.1.2/24 dev u1');
      ip('link set u1 up');
    });
  });
  afterEach(() => {
    for (const port of open.splice(0)) port.close();
  });
  afterAll(() => {
    for (const fd of namespaces) closeSync(fd);
  });

  const sender = () => opened(TrainSender.open({ sourceDip: HERE }, () => now));

  function wrapped(length: number, seed: number, sourcePort = 0x8123): Buffer {
    return udpPacket({
      source: '10.0.1.1',
      destination: '10.0.1.2',
      sourcePort,
      destinationPort: 6080,
      payload: pattern(length, seed),
    });
  }

  /** Fifty of 1500 bytes, five short ones of other flows, and a train of three whose last is shorter. */
  const mixture = () => [
    ...Array.from({ length: 50 }, (_, i) => wrapped(1472, i)),
    ...Array.from({ length: 5 }, (_, i) => wrapped(30 + i, i, 0x9000 + i)),
    ...[700, 700, 1].map((length, i) => wrapped(length, i, 0xa000)),
  ];

  /** The kernel knows its neighbour once a packet has gone there. */
  function acquainted(port: TrainSender): void {
    port.send(batchFor([wrapped(1, 0)], Action.Send, THERE), Action.Send);
    const until = performance.now() + 5000;
    while (!ip('neigh show dev u0').includes('lladdr') && performance.now() < until);
  }

  it('arrive packet by packet as they were, whether the other end takes trains or not', () => {
    const from = sender();
    acquainted(from);
    for (const Receiver of [TrainReceiver, GueReceiver]) {
      now += 10_000;
      const to = there(() => opened(Receiver.open({ dip: THERE, port: 6080 })));
      const packets = mixture();
      const { trains } = from;
      expect(from.send(batchFor(packets, Action.Send, THERE), Action.Send)).toBe(packets.length);
      // 43 and 7 of the long ones, and the three at the end.
      expect(from.trains - trains).toBe(3);
      expect(hex(receive(to, packets.length, 16))).toEqual(hex(packets));
      expect(to.received).toMatchObject({ packets: packets.length, errors: 0 });
      to.close();
    }
    expect(from.sent.errors).toBe(0);
  });

  it('go as single packets while the neighbour is unknown, and where packets are larger than the MTU', () => {
    ip('neigh flush dev u0');
    now += 10_000;
    const from = sender();
    const to = there(() => opened(TrainReceiver.open({ dip: THERE, port: 6080 })));
    const packets = [0, 1, 2].map((i) => wrapped(1472, i));
    from.send(batchFor(packets, Action.Send, THERE), Action.Send);
    expect(from.trains).toBe(0);
    expect(hex(receive(to, 3))).toEqual(hex(packets));

    acquainted(from);
    now += 10_000;
    const large = [0, 1].map((i) => wrapped(1700, i));
    expect(from.send(batchFor(large, Action.Send, THERE), Action.Send)).toBe(0);
    expect(from.tooBig).toBe(2);
    expect(from.trains).toBe(0);
  });

  it('are lost where the interface goes down, and go again when it is back', () => {
    const from = sender();
    acquainted(from);
    now += 10_000;
    const packets = [0, 1].map((i) => wrapped(1472, i));
    const send = () => from.send(batchFor(packets, Action.Send, THERE), Action.Send);
    expect(send()).toBe(2);
    expect(from.trains).toBe(1);
    ip('link set u0 down');
    expect(send()).toBe(0);
    expect(from.sent.errors).toBe(2);
    ip('link set u0 up');
    now += 10_000;
    expect(send()).toBe(2);
  });
});
