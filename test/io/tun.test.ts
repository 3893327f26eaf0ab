import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { libc } from '../../src/io/libc.js';
import { interfaceMtu, setInterfaceMtu } from '../../src/io/net-device.js';
import { Poller } from '../../src/io/poller.js';
import type { PacketSource } from '../../src/io/port.js';
import { Ring } from '../../src/io/ring.js';
import { RingTunPort } from '../../src/io/ring-tun.js';
import { SystemError } from '../../src/io/system-error.js';
import { type TunOptions, TunPort } from '../../src/io/tun.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { describePrivileged } from '../privileged.js';
import { batchOf, checksum, pattern, udpPacket } from './packets.js';
import { enterPrivateNetwork, ip, sysctl } from './private-network.js';

interface Kind {
  open(options: TunOptions): TunPort | RingTunPort;
}

/** Both kinds make the same of every packet, one with a call for each, the other with a call for several. */
describeDevice('a TUN device', TunPort, 1, 4 + 2);
// Two are asked for, then four, of which two come: that the answer was short says that there are no more.
const InBatches: Kind = { open: (options) => RingTunPort.open(options, Ring.open()) };
describeDevice('a TUN device in batches', InBatches, 2, 2 + 1);

/**
 * @param perWrite packets that one call writes, of two
 * @param readCalls calls that read four packets with one `receive` and nothing with another
 */
function describeDevice(title: string, Port: Kind, perWrite: number, readCalls: number): void {
  describePrivileged(title, ['root', 'tun', 'namespaces', 'ip'], () => {
    const open: { close(): void }[] = [];
    const tun = (options: TunOptions) => {
      const port = Port.open(options);
      open.push(port);
      return port;
    };

    beforeAll(() => {
      enterPrivateNetwork();
      // IPv6 would put multicast reports of its own into the device.
      sysctl('net/ipv6/conf/default/disable_ipv6', 1);
    });
    afterEach(() => {
      for (const port of open.splice(0)) port.close();
    });

    /** A device that is up, with 10.9.0.1/24 on it. */
    function device(options: Partial<TunOptions> = {}): TunPort | RingTunPort {
      const port = tun({ name: 'tun-test', ...options });
      ip(`link set ${port.name} addrgenmode none up`);
      ip(`addr add 10.9.0.1/24 dev ${port.name}`);
      return port;
    }

    /** Sockets of the other side; closed at the end. */
    const sockets: Socket[] = [];
    afterAll(() => {
      for (const socket of sockets) socket.close();
    });
    async function udpSocket(address: string, port: number): Promise<Socket> {
      const socket = createSocket('udp4');
      sockets.push(socket);
      socket.bind(port, address);
      await once(socket, 'listening');
      return socket;
    }

    it('reads the packets that the kernel routes into it, byte for byte', async () => {
      const port = device();
      const socket = await udpSocket('10.9.0.1', 4000);
      const payloads = [0, 1, 64, 1400].map((length) => pattern(length, length));
      for (const payload of payloads) {
        await new Promise((done) => socket.send(payload, 5000, '10.9.0.2', done));
      }
      const poller = new Poller([port.fd]);
      expect(poller.wait(1000)).toBe(1);
      expect(poller.ready(0)).toBe(true);

      const batch = new PacketBatch();
      expect(port.receive(batch)).toBe(payloads.length);
      payloads.forEach((payload, i) => {
        const packet = Buffer.from(batch.packet(i));
        expect(batch.offset[i]).toBe(batch.payloadOffset(i));
        expect(packet.readUInt32BE(12)).toBe(0x0a090001);
        expect(packet.readUInt32BE(16)).toBe(0x0a090002);
        expect(packet.subarray(28)).toEqual(payload);
      });
      expect(port.receive(batch)).toBe(0);
      expect(port.received).toEqual({
        packets: 4,
        bytes: 4 * 28 + 1465,
        calls: readCalls,
        errors: 0,
      });
      expect(poller.wait(0)).toBe(0);
      expect(poller.ready(0)).toBe(false);
    });

    it('stops at a full batch and goes on with the next', async () => {
      const port = device();
      const socket = await udpSocket('10.9.0.1', 4001);
      for (let i = 0; i < 5; i++) {
        await new Promise((done) => socket.send(Buffer.of(i), 5000, '10.9.0.2', done));
      }
      const batch = new PacketBatch({ capacity: 3 });
      expect(port.receive(batch)).toBe(3);
      expect(port.receive(batch)).toBe(0);
      batch.clear();
      expect(port.receive(batch)).toBe(2);
      expect(batch.packet(1)[28]).toBe(4);
    });

    it('delivers what is written to a local socket, and only what the action says', async () => {
      const port = device();
      const socket = await udpSocket('10.9.0.1', 4002);
      const packet = (last: number) =>
        udpPacket({
          source: '10.9.0.7',
          destination: '10.9.0.1',
          sourcePort: 1234,
          destinationPort: 4002,
          payload: Buffer.concat([pattern(500), Buffer.of(last)]),
        });
      const batch = batchOf([packet(1), packet(2), packet(3)], Action.Deliver);
      batch.action[1] = Action.Drop;
      const received: Buffer[] = [];
      const both = new Promise<void>((done) => {
        socket.on('message', (message, from) => {
          expect(from).toMatchObject({ address: '10.9.0.7', port: 1234 });
          received.push(message);
          if (received.length === 2) done();
        });
      });
      expect(port.send(batch, Action.Deliver)).toBe(2);
      await both;
      expect(received.map((message) => message[500])).toEqual([1, 3]);
      expect(received[0].subarray(0, 500)).toEqual(pattern(500));
      expect(port.sent).toEqual({ packets: 2, bytes: 2 * 529, calls: 2 / perWrite, errors: 0 });
    });

    it('counts what the kernel refuses and sends the rest', () => {
      const port = device();
      const good = udpPacket({
        source: '10.9.0.7',
        destination: '10.9.0.1',
        sourcePort: 1,
        destinationPort: 2,
        payload: pattern(10),
      });
      const noIp = Buffer.alloc(40, 0x10);
      expect(port.send(batchOf([noIp, good], Action.Deliver), Action.Deliver)).toBe(1);
      expect(port.sent).toMatchObject({ packets: 1, errors: 1, calls: 2 / perWrite });
      // Nobody listens on port 2: the kernel answers with an ICMP error.
      expect(port.receive(new PacketBatch())).toBe(1);
      ip(`link set ${port.name} down`);
      expect(port.send(batchOf([good], Action.Deliver), Action.Deliver)).toBe(0);
      expect(port.sent.errors).toBe(2);
      expect(port.receive(new PacketBatch())).toBe(0);
    });

    it('takes jumbo packets, and refuses batches whose slots are smaller than the MTU', async () => {
      const port = device({ mtu: 9000 });
      expect(port.mtu).toBe(9000);
      expect(interfaceMtu(port.name)).toBe(9000);
      const socket = await udpSocket('10.9.0.1', 4003);
      await new Promise((done) => socket.send(pattern(8972), 5000, '10.9.0.2', done));
      const batch = new PacketBatch({ maxPacket: 9000 });
      expect(port.receive(batch)).toBe(1);
      expect(Buffer.from(batch.packet(0)).subarray(28)).toEqual(pattern(8972));
      expect(() => port.receive(new PacketBatch({ maxPacket: 1500 }))).toThrow(/MTU of 9000.*up to 1500/);
    });

    it('never writes beyond a slot, even when the MTU was raised behind its back', async () => {
      const port = device();
      setInterfaceMtu(port.name, 9000);
      const socket = await udpSocket('10.9.0.1', 4004);
      await new Promise((done) => socket.send(pattern(8000), 5000, '10.9.0.2', done));
      const batch = new PacketBatch({ maxPacket: 1500, capacity: 2 });
      batch.bytes.fill(0xa5);
      expect(port.receive(batch)).toBe(1);
      expect(batch.length[0]).toBe(1500);
      expect(batch.bytes.subarray(batch.payloadOffset(0) + 1500).every((byte) => byte === 0xa5)).toBe(true);
    });

    it('reads finished checksums, even when the last owner of the device had them offloaded', async () => {
      const checksumOf = async (port: PacketSource) => {
        const socket = await udpSocket('10.9.0.1', 0);
        await new Promise((done) => socket.send(pattern(101), 5000, '10.9.0.2', done));
        const batch = new PacketBatch();
        expect(port.receive(batch)).toBe(1);
        const packet = Buffer.from(batch.packet(0));
        // Over the pseudo header (RFC 768), a right checksum sums up to nothing.
        return checksum(packet.subarray(12), 17 + packet.readUInt16BE(24));
      };
      const TUNSETOFFLOAD = 0x400454d0;
      const TUN_F_CSUM = 1;
      const before = device({ persistent: true });
      expect(await checksumOf(before)).toBe(0);
      libc().ioctl(before.fd, TUNSETOFFLOAD, TUN_F_CSUM);
      expect(await checksumOf(before)).not.toBe(0);
      before.close();
      expect(await checksumOf(tun({ name: before.name, persistent: false }))).toBe(0);
    });

    it('opens several queues of one device', async () => {
      const queues = [device({ multiQueue: true }), tun({ name: 'tun-test', multiQueue: true })];
      const poller = new Poller(queues.map((queue) => queue.fd));
      const batch = new PacketBatch();
      const seen = [0, 0];
      let received = 0;
      // The kernel picks the queue by flow hash: many flows reach both.
      for (let i = 0; i < 64; i++) {
        const socket = await udpSocket('10.9.0.1', 0);
        await new Promise((done) => socket.send('x', 5000, '10.9.0.2', done));
        expect(poller.wait(1000)).toBeGreaterThan(0);
        queues.forEach((queue, q) => {
          if (!poller.ready(q)) return;
          batch.clear();
          const count = queue.receive(batch);
          seen[q] += count;
          received += count;
        });
      }
      expect(received).toBe(64);
      expect(Math.min(...seen)).toBeGreaterThan(0);
    });

    it('leaves a persistent device behind, attaches to it again, and can take it away', () => {
      tun({ name: 'tun-keep', persistent: true }).close();
      expect(ip('link show tun-keep')).toContain('tun-keep');
      const again = tun({ name: 'tun-keep' });
      expect(again.name).toBe('tun-keep');
      again.close();
      expect(ip('link show tun-keep')).toContain('tun-keep');
      tun({ name: 'tun-keep', persistent: false }).close();
      expect(() => interfaceMtu('tun-keep')).toThrow(/ENODEV.*no such interface/);
    });

    it('says what to do when it cannot be opened', () => {
      tun({ name: 'tun-busy' });
      expect(() => Port.open({ name: 'tun-busy' })).toThrow(/TUNSETIFF tun-busy: EBUSY.*already running/);
      expect(() => Port.open({ name: 'lo' })).toThrow(/TUNSETIFF lo: EINVAL.*another kind/);
      expect(() => Port.open({ name: 'a-name-too-long-for-linux' })).toThrow(/no interface name/);
      tun({ name: 'tun-mq', multiQueue: true });
      expect(() => Port.open({ name: 'tun-mq' })).toThrow(SystemError);
      process.seteuid?.(65534);
      try {
        // Which of the two depends on the permissions of /dev/net/tun.
        expect(() => Port.open({ name: 'tun-user' })).toThrow(/EACCES.*run as root|EPERM.*CAP_NET_ADMIN/);
      } finally {
        process.seteuid?.(0);
      }
    });

    it('throws when the device is removed under it', () => {
      const port = device();
      const poller = new Poller([port.fd]);
      ip(`link del ${port.name}`);
      expect(poller.wait(1000)).toBe(1);
      const batch = batchOf([pattern(40)], Action.Deliver);
      expect(() => port.receive(new PacketBatch())).toThrow(/read tun-test: EBADFD/);
      expect(() => port.send(batch, Action.Deliver)).toThrow(/write tun-test: EBADFD/);
    });

    it('can be brought up without the ip program', () => {
      const port = tun({ name: 'tun-up' });
      ip(`link set ${port.name} up`);
      expect(ip('link show tun-up')).toMatch(/<[^>]*\bUP\b/);
    });
  });
}
