import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryPort } from '../../src/io/memory.js';
import { FaultyPort, TracingPort } from '../../src/io/wrappers.js';
import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { batchOf, pattern } from './packets.js';

const packets = (count: number, length = 20) => Array.from({ length: count }, (_, i) => pattern(length, i));

describe('MemoryPort', () => {
  it('gives its packets in order, a batch at a time', () => {
    const port = new MemoryPort(packets(5));
    const batch = new PacketBatch({ capacity: 3 });
    expect(port.receive(batch)).toBe(3);
    expect(port.receive(batch)).toBe(0);
    expect(port.waiting).toBe(2);
    batch.clear();
    expect(port.receive(batch)).toBe(2);
    expect(Buffer.from(batch.packet(1))).toEqual(pattern(20, 4));
    port.offer(pattern(7));
    expect(port.receive(batch)).toBe(1);
    expect(port.received).toMatchObject({ packets: 6, bytes: 107, errors: 0 });
  });

  it('loses what is larger than a slot', () => {
    const port = new MemoryPort([pattern(101), pattern(100)]);
    const batch = new PacketBatch({ maxPacket: 100 });
    expect(port.receive(batch)).toBe(1);
    expect(batch.length[0]).toBe(100);
    expect(port.received.errors).toBe(1);
  });

  it('records copies of what is sent, with action and next hop', () => {
    const port = new MemoryPort();
    const batch = batchOf(packets(3), Action.Send, 0x0a000201);
    batch.action[0] = Action.Deliver;
    expect(port.send(batch, Action.Send)).toBe(2);
    expect(port.send(batch, Action.Deliver)).toBe(1);
    batch.bytes.fill(0);
    expect(port.log.map((sent) => [Buffer.from(sent.bytes), sent.action, sent.nextHop])).toEqual([
      [pattern(20, 1), Action.Send, 0x0a000201],
      [pattern(20, 2), Action.Send, 0x0a000201],
      [pattern(20, 0), Action.Deliver, 0x0a000201],
    ]);
    expect(port.sent).toEqual({ packets: 3, bytes: 60, calls: 2, errors: 0 });
  });
});

describe('TracingPort', () => {
  it('shows every packet once per direction and changes nothing', () => {
    const memory = new MemoryPort(packets(2));
    const seen: string[] = [];
    const port = new TracingPort(memory, memory, (direction, batch, index) => {
      seen.push(`${direction} ${batch.packet(index)[0]}`);
    });
    const batch = new PacketBatch();
    batch.push(pattern(1, 9));
    expect(port.receive(batch)).toBe(2);
    batch.action.fill(Action.Send, 1);
    expect(port.send(batch, Action.Send)).toBe(2);
    expect(seen).toEqual(['in 1', 'in 8', 'out 1', 'out 8']);
    expect(port.fd).toBe(-1);
    expect([port.received.packets, port.sent.packets]).toEqual([2, 2]);
  });
});

describe('FaultyPort', () => {
  const all = (port: FaultyPort, batch = new PacketBatch()) => {
    port.receive(batch);
    return Array.from({ length: batch.count }, (_, i) => Buffer.from(batch.packet(i)));
  };
  const flippedBits = (a: Buffer, b: Buffer) =>
    a.reduce((sum, byte, i) => sum + (byte ^ b[i]).toString(2).replaceAll('0', '').length, 0);

  it('does nothing without faults', () => {
    const memory = new MemoryPort(packets(9));
    expect(all(new FaultyPort(memory, memory, { seed: 1 }))).toEqual(packets(9));
  });

  it('drops, duplicates and corrupts everything when told so', () => {
    const dropping = new MemoryPort(packets(3));
    expect(all(new FaultyPort(dropping, dropping, { seed: 1, drop: 1 }))).toEqual([]);
    const doubling = new MemoryPort(packets(3));
    expect(all(new FaultyPort(doubling, doubling, { seed: 1, duplicate: 1 }))).toEqual([
      ...packets(3),
      ...packets(3),
    ]);
    const damaging = new MemoryPort(packets(3));
    const port = new FaultyPort(damaging, damaging, { seed: 1, corrupt: 1 });
    all(port).forEach((packet, i) => {
      expect(flippedBits(packet, pattern(20, i))).toBe(1);
    });
    expect(port.faults).toEqual({ dropped: 0, corrupted: 3, duplicated: 0 });
  });

  it('leaves out duplicates for which the batch has no room', () => {
    const memory = new MemoryPort(packets(4));
    const port = new FaultyPort(memory, memory, { seed: 1, duplicate: 1 });
    expect(all(port, new PacketBatch({ capacity: 5 }))).toEqual([...packets(4), pattern(20, 0)]);
  });

  it('harms packets on their way out, and not the caller’s batch', () => {
    const memory = new MemoryPort();
    const port = new FaultyPort(memory, memory, { seed: 3, corrupt: 1, duplicate: 1 });
    const batch = batchOf(packets(2), Action.Send, 7);
    // Headers in the headroom: longer than the slot's payload.
    batch.offset[0] -= 40;
    batch.length[0] += 40;
    const before = Buffer.from(batch.packet(0));
    expect(port.send(batch, Action.Send)).toBe(4);
    expect(Buffer.from(batch.packet(0))).toEqual(before);
    expect(memory.log.map((sent) => [sent.bytes.length, sent.nextHop])).toEqual([
      [60, 7],
      [60, 7],
      [20, 7],
      [20, 7],
    ]);
    expect(flippedBits(Buffer.from(memory.log[0].bytes), before)).toBe(1);
    expect(port.sent).toMatchObject({ packets: 4, bytes: 160, errors: 0 });
  });

  it('is the same for the same seed, whole packets apart from one flipped bit, and accounts for each', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          drop: fc.double({ min: 0, max: 1, noNaN: true }),
          corrupt: fc.double({ min: 0, max: 1, noNaN: true }),
          duplicate: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.integer({ min: 0, max: 30 }),
        (faults, count) => {
          const run = () => {
            const memory = new MemoryPort(packets(count));
            const port = new FaultyPort(memory, memory, faults);
            const received = all(port);
            expect(received.length).toBe(count - port.faults.dropped + port.faults.duplicated);
            expect(port.received.packets).toBe(received.length);
            for (const packet of received) {
              expect(packets(count).some((original) => flippedBits(packet, original) <= 1)).toBe(true);
            }
            return received;
          };
          expect(run()).toEqual(run());
        },
      ),
      { numRuns: 50 },
    );
  });
});
