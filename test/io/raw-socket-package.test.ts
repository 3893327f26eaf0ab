import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { Poller } from '../../src/io/poller.js';
import { RawSender } from '../../src/io/raw.js';
import { RawSocketPackageSender } from '../../src/io/raw-socket-package.js';
import { GueReceiver } from '../../src/io/udp.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { describePrivileged } from '../privileged.js';
import { batchOf, ipv4, pattern, udpPacket } from './packets.js';
import { enterPrivateNetwork, ip } from './private-network.js';

const OTHER = ipv4('10.0.2.1');

const packet = (length: number, seed: number) =>
  udpPacket({
    source: '10.0.1.1',
    destination: '10.0.2.1',
    sourcePort: 0x8000 | seed,
    destinationPort: 6080,
    payload: pattern(length, seed),
  });

describePrivileged(
  'the raw-socket package as a sender',
  ['root', 'namespaces', 'ip', 'npm:raw-socket'],
  () => {
    const open: { close(): void }[] = [];
    function opened<T extends { close(): void }>(port: T): T {
      open.push(port);
      return port;
    }

    beforeAll(() => {
      enterPrivateNetwork();
      ip('link set lo mtu 1500');
      ip('addr add 10.0.1.1/32 dev lo');
      ip('addr add 10.0.2.1/32 dev lo');
    });
    afterEach(() => {
      for (const port of open.splice(0)) port.close();
    });

    async function settled(sender: RawSocketPackageSender): Promise<void> {
      while (sender.pending > 0) await setImmediate();
    }

    it('puts the same bytes on the wire as RawSender', async () => {
      const receiver = opened(GueReceiver.open({ dip: OTHER, port: 6080 }));
      const packets = [0, 1, 333, 1472].map((length, i) => packet(length, i));
      const batch = batchOf(packets, Action.Send, OTHER);
      batch.action[1] = Action.Drop;

      const arrivals: Buffer[][] = [];
      const collect = (count: number) => {
        const received = new PacketBatch();
        const poller = new Poller([receiver.fd]);
        while (received.count < count && poller.wait(1000) > 0) receiver.receive(received);
        arrivals.push(Array.from({ length: received.count }, (_, i) => Buffer.from(received.packet(i))));
      };
      const mmsg = opened(RawSender.open());
      expect(mmsg.send(batch, Action.Send)).toBe(3);
      collect(3);
      const sender = opened(RawSocketPackageSender.open());
      expect(sender.send(batch, Action.Send)).toBe(3);
      // The batch is used for something else before the event loop comes round.
      batch.bytes.fill(0xa5);
      await settled(sender);
      collect(3);

      expect(arrivals[0]).toEqual([packets[0], packets[2], packets[3]]);
      expect(arrivals[1]).toEqual(arrivals[0]);
      expect(sender.sent).toEqual({ packets: 3, bytes: 28 * 3 + 333 + 1472, calls: 3, errors: 0 });
    });

    it('counts what the kernel refuses, and what would make its queue too long', async () => {
      const sender = opened(RawSocketPackageSender.open());
      expect(sender.send(batchOf([packet(1473, 1), packet(1, 2)], Action.Send, OTHER), Action.Send)).toBe(2);
      await settled(sender);
      expect(sender.sent).toMatchObject({ packets: 1, errors: 1 });

      const batch = batchOf(
        Array.from({ length: 100 }, (_, i) => packet(1, i)),
        Action.Send,
        OTHER,
      );
      let queued = 0;
      for (let i = 0; i < 50; i++) queued += sender.send(batch, Action.Send);
      expect(queued).toBe(4096);
      expect(sender.sent.errors).toBe(1 + 5000 - 4096);
      await settled(sender);
      expect(sender.sent.packets).toBe(1 + 4096);
    });

    it('counts packets as lost once it is closed', () => {
      const sender = opened(RawSocketPackageSender.open());
      const batch = batchOf([packet(1, 1)], Action.Send, OTHER);
      expect(sender.send(batch, Action.Send)).toBe(1);
      sender.close();
      expect(sender.pending).toBe(0);
      expect(sender.send(batch, Action.Send)).toBe(0);
      expect(sender.sent).toMatchObject({ packets: 0, errors: 2 });
    });

    it('says which right is missing', () => {
      process.seteuid?.(65534);
      try {
        expect(() => RawSocketPackageSender.open()).toThrow(/raw-socket cannot open a socket.*CAP_NET_RAW/);
      } finally {
        process.seteuid?.(0);
      }
    });
  },
);
