import { createSocket } from 'node:dgram';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Poller } from '../../src/io/poller.js';
import { RawSender } from '../../src/io/raw.js';
import { GueReceiver } from '../../src/io/udp.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { describePrivileged } from '../privileged.js';
import { batchOf, ipv4, pattern, udpPacket } from './packets.js';
import { enterPrivateNetwork, ip } from './private-network.js';

const SELF = ipv4('10.0.1.1');
const OTHER = ipv4('10.0.2.1');

/** A GUE-like packet from SELF to OTHER, as the forwarder makes it. */
function underlayPacket(length: number, seed = 0): Buffer {
  return udpPacket({
    source: '10.0.1.1',
    destination: '10.0.2.1',
    sourcePort: 0x8000 | seed,
    destinationPort: 6080,
    payload: pattern(length, seed),
  });
}

describePrivileged('raw sender and GUE receiver', ['root', 'namespaces', 'ip'], () => {
  const open: { close(): void }[] = [];
  function opened<T extends { close(): void }>(port: T): T {
    open.push(port);
    return port;
  }
  let sender: RawSender;
  let receiver: GueReceiver;

  beforeAll(() => {
    enterPrivateNetwork();
    ip('addr add 10.0.1.1/32 dev lo');
    ip('addr add 10.0.2.1/32 dev lo');
  });
  beforeEach(() => {
    ip('link set lo mtu 65536');
    sender = opened(RawSender.open({ sourceDip: SELF }));
    receiver = opened(GueReceiver.open({ dip: OTHER, port: 6080 }));
  });
  afterEach(() => {
    for (const port of open.splice(0)) port.close();
  });

  /** Waits for `count` packets. Loopback delivers at once: what is missing after a second was lost. */
  function receive(count: number, batch = new PacketBatch()): PacketBatch {
    const poller = new Poller([receiver.fd]);
    while (batch.count < count && poller.wait(1000) > 0 && receiver.receive(batch) > 0);
    return batch;
  }

  it('carries packets, outer headers and all', () => {
    const packets = [0, 1, 40, 1400, 8900].map((length, i) => underlayPacket(length, i));
    const batch = batchOf(packets, Action.Send, OTHER);
    expect(sender.send(batch, Action.Send)).toBe(5);
    const received = receive(5);
    expect(received.count).toBe(5);
    packets.forEach((packet, i) => {
      expect(Buffer.from(received.packet(i))).toEqual(packet);
      // There is room in front for more headers, and the payload lies where payloads lie.
      expect(received.offset[i]).toBe(received.payloadOffset(i) - 28);
    });
    const bytes = packets.reduce((sum, packet) => sum + packet.length, 0);
    expect(sender.sent).toEqual({ packets: 5, bytes, calls: 1, errors: 0 });
    expect(receiver.received).toMatchObject({ packets: 5, bytes, errors: 0 });
    expect(receiver.receive(received)).toBe(0);
  });

  it('sends only what the action says', () => {
    const batch = batchOf(
      [underlayPacket(8, 1), underlayPacket(8, 2), underlayPacket(8, 3)],
      Action.Send,
      OTHER,
    );
    batch.action[1] = Action.Deliver;
    expect(sender.send(batch, Action.Send)).toBe(2);
    const received = receive(2);
    expect(Buffer.from(received.packet(1))).toEqual(underlayPacket(8, 3));
  });

  it('sends and receives batches of any size', () => {
    const packets = Array.from({ length: 200 }, (_, i) => underlayPacket(20, i));
    expect(sender.send(batchOf(packets, Action.Send, OTHER), Action.Send)).toBe(200);
    expect(sender.sent.calls).toBe(4);
    const received = receive(200, new PacketBatch({ capacity: 150 }));
    expect(received.count).toBe(150);
    expect(receiver.receive(received)).toBe(0);
    received.clear();
    expect(receiver.receive(received)).toBe(50);
    expect(Buffer.from(received.packet(49))).toEqual(packets[199]);
  });

  it('skips a packet that is too big for the interface and sends those behind it', () => {
    ip('link set lo mtu 1500');
    const packets = [100, 1472, 1473, 200, 3000, 300].map((length, i) => underlayPacket(length, i));
    expect(sender.send(batchOf(packets, Action.Send, OTHER), Action.Send)).toBe(4);
    expect(sender.tooBig).toBe(2);
    expect(sender.sent).toMatchObject({ packets: 4, errors: 2 });
    const received = receive(4);
    expect([0, 1, 2, 3].map((i) => received.length[i])).toEqual([128, 1500, 228, 328]);
  });

  it('counts packets that have no route', () => {
    const batch = batchOf([underlayPacket(10, 1), underlayPacket(10, 2)], Action.Send, OTHER);
    batch.nextHop[0] = ipv4('203.0.113.9');
    expect(sender.send(batch, Action.Send)).toBe(1);
    expect(sender.sent.errors).toBe(1);
    expect(sender.tooBig).toBe(0);
    expect(Buffer.from(receive(1).packet(0))).toEqual(underlayPacket(10, 2));
  });

  it('drops a datagram that is larger than a slot and keeps its neighbours', () => {
    const packets = [100, 2000, 300, 1501, 1500].map((length, i) => underlayPacket(length, i));
    sender.send(batchOf(packets, Action.Send, OTHER), Action.Send);
    const received = receive(3, new PacketBatch({ maxPacket: 1500 }));
    expect(received.count).toBe(3);
    expect(receiver.received).toMatchObject({ packets: 3, errors: 2 });
    [0, 2, 4].forEach((sent, i) => {
      expect(received.offset[i]).toBe(received.payloadOffset(i) - 28);
      expect(Buffer.from(received.packet(i))).toEqual(packets[sent]);
    });
  });

  it('appends behind packets that are already in the batch', () => {
    const batch = new PacketBatch({ capacity: 3 });
    batch.push(pattern(50));
    sender.send(
      batchOf(
        [1, 2, 3].map((i) => underlayPacket(10, i)),
        Action.Send,
        OTHER,
      ),
      Action.Send,
    );
    expect(receive(3, batch).count).toBe(3);
    expect(Buffer.from(batch.packet(0))).toEqual(pattern(50));
    expect(Buffer.from(batch.packet(2))).toEqual(underlayPacket(10, 2));
  });

  it('tells how many datagrams the kernel had to drop', () => {
    expect(receiver.kernelDrops()).toBe(0);
    const batch = batchOf(
      Array.from({ length: 64 }, (_, i) => underlayPacket(1000, i)),
      Action.Send,
      OTHER,
    );
    let sent = 0;
    while (receiver.kernelDrops() === 0 && sent < 1_000_000) sent += sender.send(batch, Action.Send);
    const drops = receiver.kernelDrops();
    expect(drops).toBeGreaterThan(0);
    const received = new PacketBatch();
    let kept = 0;
    for (let count = -1; count !== 0; kept += count) {
      received.clear();
      count = receiver.receive(received);
    }
    expect(kept + drops).toBe(sent);
  });

  it('shares a port between workers', () => {
    const one = opened(GueReceiver.open({ dip: OTHER, port: 7000, reusePort: true }));
    const two = opened(GueReceiver.open({ dip: OTHER, port: 7000, reusePort: true }));
    const packets = Array.from({ length: 64 }, (_, i) =>
      udpPacket({
        source: '10.0.1.1',
        destination: '10.0.2.1',
        sourcePort: 0x8000 + i * 97,
        destinationPort: 7000,
        payload: pattern(4, i),
      }),
    );
    sender.send(batchOf(packets, Action.Send, OTHER), Action.Send);
    const counts = [one, two].map((socket) => socket.receive(new PacketBatch()));
    expect(counts[0] + counts[1]).toBe(64);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  it('says what to do when the address is not here, the port is taken, or rights are missing', () => {
    expect(() => GueReceiver.open({ dip: ipv4('10.0.9.9'), port: 6080 })).toThrow(
      /bind 10\.0\.9\.9:6080: EADDRNOTAVAIL.*No interface here has this address/,
    );
    expect(() => GueReceiver.open({ dip: OTHER, port: 6080 })).toThrow(/EADDRINUSE.*already running/);
    expect(() => RawSender.open({ sourceDip: ipv4('10.0.9.9') })).toThrow(/bind 10\.0\.9\.9: EADDRNOTAVAIL/);
    process.seteuid?.(65534);
    try {
      expect(() => RawSender.open()).toThrow(/EPERM.*CAP_NET_RAW.*run as root/);
    } finally {
      process.seteuid?.(0);
    }
  });

  it('is understood by an ordinary UDP socket', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((done) => socket.bind(6081, '10.0.2.1', done));
    const message = new Promise<Buffer>((done) => socket.once('message', done));
    const packet = udpPacket({
      source: '10.0.1.1',
      destination: '10.0.2.1',
      sourcePort: 9,
      destinationPort: 6081,
      payload: pattern(77),
    });
    sender.send(batchOf([packet], Action.Send, OTHER), Action.Send);
    expect(await message).toEqual(pattern(77));
    await new Promise<void>((done) => socket.close(done));
  });

  it('throws when used after it was closed', () => {
    sender.close();
    receiver.close();
    const batch = batchOf([underlayPacket(1)], Action.Send, OTHER);
    expect(() => sender.send(batch, Action.Send)).toThrow(/EBADF/);
    expect(() => receiver.receive(new PacketBatch())).toThrow(/EBADF/);
  });
});
