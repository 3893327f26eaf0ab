import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PacketBatch } from '../../src/path/batch.js';
import { Coalescer } from '../../src/path/coalesce.js';
import { encapsulate } from '../../src/path/encapsulate.js';
import { Segmenter } from '../../src/path/segment.js';
import { LONGEST_TRAIN, Trains } from '../../src/path/train.js';
import { Action } from '../../src/path/verdict.js';
import { finish, offloadBatch, slowSegments, slowTrain } from './offload-twins.js';
import { makePacket } from './packets.js';

const ACK = 0x10;
const PSH = 0x08;
const FIN = 0x01;
const CWR = 0x80;
const ECE = 0x40;

interface Stream {
  readonly version: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly flags: number;
  readonly optionWords: number;
  readonly size: number;
  readonly total: number;
  readonly sequence: number;
  readonly identification: number;
  readonly port: number;
  readonly fill: number;
}

const stream = (overrides: Partial<Record<keyof Stream, fc.Arbitrary<unknown>>> = {}): fc.Arbitrary<Stream> =>
  fc.record({
    version: fc.constantFrom(4, 6),
    protocol: fc.constantFrom('tcp', 'udp'),
    flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN, ACK | ECE, ACK | CWR | PSH),
    optionWords: fc.constantFrom(0, 3, 10),
    size: fc.integer({ min: 1, max: 1448 }),
    total: fc.integer({ min: 2, max: 6000 }),
    sequence: fc.oneof(fc.nat(), fc.constant(0xffffff00)),
    identification: fc.oneof(fc.nat(0xffff), fc.constant(0xfffe)),
    port: fc.constantFrom(40_000, 40_001),
    fill: fc.nat(255),
    ...overrides,
  }) as fc.Arbitrary<Stream>;

/** A virtio header and the super-packet of a stream, as a kernel hands it over. */
function superPacket(from: Stream): Uint8Array {
  const { version, protocol, size, fill } = from;
  const isTcp = protocol === 'tcp';
  const total = Math.min(from.total, size * 100);
  const data = Uint8Array.from({ length: total }, (_, i) => (i * fill + (i >>> 8)) & 255);
  const plain = makePacket({
    version,
    protocol,
    sourcePort: from.port,
    flags: from.flags,
    sequence: from.sequence,
    data,
  });
  const network = version === 4 ? 20 : 40;
  const base = network + (isTcp ? 20 : 8);
  const options = isTcp ? new Uint8Array(4 * from.optionWords).fill(1) : new Uint8Array(0);
  const packet = Uint8Array.from([...plain.subarray(0, base), ...options, ...plain.subarray(base)]);
  if (isTcp) packet[network + 12] = (5 + from.optionWords) << 4;
  finish(packet, from.identification);
  // In the place of the checksum: the sum of the pseudo-header.
  const covered = packet.length - network;
  const addresses = packet.subarray(version === 4 ? 12 : 8, network);
  let sum = (isTcp ? 6 : 17) + covered;
  for (let i = 0; i < addresses.length; i += 2) sum += (addresses[i] << 8) | addresses[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  new DataView(packet.buffer).setUint16(network + (isTcp ? 16 : 6), sum);

  const vnet = Buffer.alloc(10);
  vnet[0] = 1;
  vnet[1] = (isTcp ? (version === 4 ? 1 : 4) : 5) | ((from.flags & CWR) !== 0 && isTcp ? 0x80 : 0);
  vnet.writeUInt16LE(base + options.length, 2);
  vnet.writeUInt16LE(size, 4);
  vnet.writeUInt16LE(network, 6);
  vnet.writeUInt16LE(isTcp ? 16 : 6, 8);
  return Uint8Array.from([...vnet, ...packet]);
}

function copies(batch: PacketBatch): Uint8Array[] {
  return Array.from({ length: batch.count }, (_, i) => Uint8Array.from(batch.packet(i)));
}

/** Through the segmenter, in batches of `capacity`. */
function segment(vnetAndPacket: Uint8Array, capacity = 128, maxPacket = 2048): Uint8Array[] | null {
  const batch = offloadBatch([], { capacity, maxPacket });
  const segmenter = new Segmenter();
  batch.bytes.set(vnetAndPacket, batch.extraOffset);
  if (!segmenter.begin(batch, batch.extraOffset, vnetAndPacket.length)) return null;
  const packets: Uint8Array[] = [];
  do {
    batch.clear();
    segmenter.fill(batch);
    packets.push(...copies(batch));
  } while (segmenter.pending);
  return packets;
}

/** What the coalescer makes of packets: virtio header and packet, as they would be written. */
function coalesce(packets: readonly Uint8Array[]): Uint8Array[] {
  const batch = offloadBatch(packets);
  const coalescer = new Coalescer();
  const written: Uint8Array[] = [];
  for (let from = 0; ; ) {
    from = coalescer.find(batch, Action.Deliver, from);
    if (coalescer.count === 0) return written;
    coalescer.write(batch);
    const start = batch.offset[coalescer.slots[0]] - 10;
    const pieces = [batch.bytes.subarray(start, start + 10 + batch.length[coalescer.slots[0]])];
    for (let k = 1; k < coalescer.count; k++) {
      pieces.push(Buffer.from(batch.packet(coalescer.slots[k])).subarray(coalescer.headers));
    }
    written.push(Uint8Array.from(Buffer.concat(pieces)));
  }
}

function asWritten(written: readonly Uint8Array[]): Uint8Array[] {
  return written.flatMap((each) => (each[1] === 0 ? [each.subarray(10)] : slowSegments(each)));
}

const hex = (packets: readonly Uint8Array[] | null) =>
  packets?.map((packet) => Buffer.from(packet).toString('hex'));

describe('super-packets from the kernel', () => {
  it('are cut into the packets they stand for, whatever the batch holds', () => {
    fc.assert(
      fc.property(stream(), fc.integer({ min: 1, max: 70 }), (from, capacity) => {
        const packet = superPacket(from);
        expect(hex(segment(packet, capacity))).toEqual(hex(slowSegments(packet)));
      }),
      { numRuns: 150 },
    );
  });

  it('keep CWR on the first only, FIN and PSH on the last only', () => {
    const packet = superPacket({
      ...plainStream('tcp', 4),
      flags: ACK | CWR | ECE | PSH | FIN,
      total: 300,
      size: 100,
    });
    expect(segment(packet)?.map((each) => each[33])).toEqual([
      ACK | CWR | ECE,
      ACK | ECE,
      ACK | ECE | PSH | FIN,
    ]);
  });

  it('that are single packets have their checksum finished, or left as it is', () => {
    fc.assert(
      fc.property(stream({ size: fc.constant(1448), total: fc.nat(1400) }), (from) => {
        const unfinished = superPacket({ ...from, total: Math.max(1, from.total) });
        unfinished[1] = 0;
        const [packet] = segment(unfinished) ?? [];
        const whole = finish(Uint8Array.from(unfinished.subarray(10)), from.identification);
        expect(hex([packet])).toEqual(hex([whole]));
        expect(hex(segment(Uint8Array.from([...new Uint8Array(10), ...whole])))).toEqual(hex([whole]));
      }),
    );
  });

  it('never reach beyond a slot: what is longer is cut off', () => {
    const packet = superPacket({ ...plainStream('tcp', 6), size: 1400, total: 4000 });
    const packets = segment(packet, 4, 1000);
    expect(packets?.map(({ length }) => length)).toEqual([1000, 1000, 1000]);
    const single = Uint8Array.from(packet);
    single[1] = 0;
    expect(segment(single, 1, 1000)?.map(({ length }) => length)).toEqual([1000]);
  });

  it('with a header that contradicts them are refused, and no bytes make it read outside them', () => {
    fc.assert(
      fc.property(
        stream(),
        fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(200),
        (from, damage, cut) => {
          const packet = superPacket({ ...from, total: Math.min(from.total, 3000) });
          for (const [at, value] of damage) packet[at % packet.length] = value;
          const kept = packet.subarray(0, Math.max(0, packet.length - cut));
          const batch = offloadBatch([], { capacity: 4 });
          batch.bytes.set(kept, batch.extraOffset);
          const behind = batch.extraOffset + kept.length;
          batch.bytes.fill(0xa5, behind);
          const segmenter = new Segmenter();
          const begun = segmenter.begin(batch, batch.extraOffset, kept.length);
          expect(begun || !segmenter.pending).toBe(true);
          for (let rounds = 0; segmenter.pending; rounds++) {
            expect(rounds).toBeLessThanOrEqual(kept.length);
            batch.clear();
            segmenter.fill(batch);
            expect(batch.count).toBeGreaterThan(0);
            for (let i = 0; i < batch.count; i++) {
              expect(batch.length[i]).toBeLessThanOrEqual(batch.maxPacket);
              expect(batch.offset[i]).toBe(batch.payloadOffset(i));
            }
          }
          expect(batch.bytes.subarray(behind).every((byte) => byte === 0xa5)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});

function plainStream(protocol: 'tcp' | 'udp', version: 4 | 6): Stream {
  return {
    version,
    protocol,
    flags: ACK,
    optionWords: 3,
    size: 1000,
    total: 10_000,
    sequence: 5,
    identification: 7,
    port: 40_000,
    fill: 3,
  };
}

describe('packets to the kernel', () => {
  /** Pieces of streams, some damaged: what a batch may hold. */
  const traffic = fc
    .array(fc.tuple(stream({ total: fc.integer({ min: 2, max: 3000 }) }), fc.nat(12)), {
      minLength: 1,
      maxLength: 4,
    })
    .chain((streams) =>
      fc.record({
        packets: fc.constant(
          streams.flatMap(([from, keep]) => slowSegments(superPacket(from)).slice(0, keep + 1)),
        ),
        // Packet, byte among the first hundred, new value, and whether the checksums are made to fit.
        changes: fc.array(fc.tuple(fc.nat(), fc.nat(99), fc.nat(255), fc.boolean()), { maxLength: 4 }),
        moves: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 2 }),
      }),
    )
    .map(({ packets, changes, moves }) => {
      for (const [which, at, value, fits] of changes) {
        const packet = packets[which % packets.length];
        packet[at % packet.length] = value;
        if (fits && packet[0] >>> 4 === 4 && (packet[0] & 15) === 5) {
          finish(packet, (packet[4] << 8) | packet[5]);
        }
      }
      for (const [from, to] of moves) {
        const [moved] = packets.splice(from % packets.length, 1);
        packets.splice(to % (packets.length + 1), 0, moved);
      }
      return packets;
    });

  it('are the same packets, in the same order, once the kernel has cut the super-packets they became', () => {
    fc.assert(
      fc.property(traffic, (packets) => {
        expect(hex(asWritten(coalesce(packets)))).toEqual(hex(packets));
      }),
      { numRuns: 200 },
    );
  });

  it('and the segmenter makes the same of them', () => {
    fc.assert(
      fc.property(traffic, (packets) => {
        const back = coalesce(packets).flatMap((each) => segment(each) ?? []);
        expect(hex(back)).toEqual(hex(packets));
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['tcp', 4],
    ['tcp', 6],
    ['udp', 4],
    ['udp', 6],
  ] as const)('become one super-packet where they follow each other: %s over IPv%i', (protocol, version) => {
    const from = { ...plainStream(protocol, version), flags: ACK | PSH };
    const packet = superPacket(from);
    expect(hex(coalesce(slowSegments(packet)))).toEqual(hex([packet]));
  });

  it('are left alone where one thing differs, and joined again behind it', () => {
    const whole = slowSegments(superPacket(plainStream('tcp', 4)));
    const lengths = (change: (packet: Uint8Array, data: DataView) => void): number[] => {
      const packets = whole.map((packet) => Uint8Array.from(packet));
      change(packets[4], new DataView(packets[4].buffer));
      return coalesce(packets).map(({ length }) => (length - 10 - 52) / 1000);
    };
    expect(lengths(() => {})).toEqual([10]);
    // A wrong checksum; an acknowledgment, a window, an option of its own; an identification that jumps.
    expect(lengths((packet) => (packet[16 + 20] ^= 1))).toEqual([4, 1, 5]);
    for (const at of [8, 11, 14, 15, 22, 31]) {
      expect(
        lengths((packet, data) => {
          packet[20 + at] ^= 1;
          finish(packet, data.getUint16(4));
        }),
      ).toEqual([4, 1, 5]);
    }
    expect(lengths((packet, data) => finish(packet, data.getUint16(4) + 1))).toEqual([4, 1, 5]);
    // PSH and FIN end a super-packet; SYN, RST and URG are never in one.
    expect(lengths((packet, data) => flagged(packet, data, ACK | PSH))).toEqual([5, 5]);
    for (const flags of [ACK | 2, ACK | 4, ACK | 0x20, 0]) {
      expect(lengths((packet, data) => flagged(packet, data, flags))).toEqual([4, 1, 5]);
    }
  });

  const flagged = (packet: Uint8Array, data: DataView, flags: number) => {
    packet[33] = flags;
    finish(packet, data.getUint16(4));
  };

  it('of other actions are skipped', () => {
    const packets = slowSegments(superPacket(plainStream('tcp', 4)));
    const batch = offloadBatch(packets);
    batch.action[0] = Action.Drop;
    batch.action[9] = Action.Send;
    const coalescer = new Coalescer();
    expect(coalescer.find(batch, Action.Deliver, 0)).toBe(10);
    expect(Array.from(coalescer.slots.subarray(0, coalescer.count))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(coalescer.find(batch, Action.Deliver, 10)).toBe(10);
    expect(coalescer.count).toBe(0);
  });
});

describe('wrapped packets', () => {
  interface Wrapped {
    readonly length: number;
    readonly port: number;
    readonly hop: number;
    readonly to: number;
    readonly repeat: number;
  }
  const wrapped: fc.Arbitrary<Wrapped> = fc.record({
    length: fc.constantFrom(60, 100, 1500),
    port: fc.constantFrom(0x8000, 0x8001),
    hop: fc.constantFrom(0, 0x0a000301),
    to: fc.constantFrom(0x0a000201, 0x0a000401),
    repeat: fc.integer({ min: 1, max: 20 }),
  });

  function batchOf(
    packets: readonly Wrapped[],
    damage: readonly (readonly [number, number])[] = [],
  ): PacketBatch {
    const all = packets.flatMap((each) => new Array<Wrapped>(each.repeat).fill(each));
    const batch = offloadBatch(
      all.map(({ length }, i) => new Uint8Array(length).fill(i)),
      { action: Action.Send },
    );
    all.forEach(({ length, port, hop, to }, i) => {
      const size = encapsulate(batch.data, batch.offset[i], length, 4, 0x0a000101, to, port, 6080, hop, 0);
      batch.offset[i] -= size;
      batch.length[i] += size;
      batch.nextHop[i] = to;
    });
    for (const [which, at] of damage) {
      const i = which % batch.count;
      // The outer checksum is written anew by whoever sends, alone or in a train.
      if (at !== 10 && at !== 11) batch.bytes[batch.offset[i] + (at % batch.length[i])] ^= 0x10;
    }
    return batch;
  }

  it('become trains that stand for the very same packets, in the same order', () => {
    fc.assert(
      fc.property(
        fc.array(wrapped, { minLength: 1, maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(45)), { maxLength: 2 }),
        (packets, damage) => {
          const batch = batchOf(packets, damage);
          const before = hex(copies(batch));
          const trains = new Trains();
          const back: Uint8Array[] = [];
          for (let from = 0; ; ) {
            from = trains.find(batch, Action.Send, from);
            const { count, slots } = trains;
            if (count === 0) break;
            expect(count).toBeLessThanOrEqual(LONGEST_TRAIN);
            expect(trains.length).toBeLessThanOrEqual(0xffff);
            const first = batch.packet(slots[0]);
            if (count === 1) {
              back.push(first);
              continue;
            }
            const rest = Array.from(slots.subarray(1, count), (slot) => batch.packet(slot).subarray(28));
            const train = Uint8Array.from(Buffer.concat([first, ...rest]));
            expect(train.length).toBe(trains.length);
            back.push(...slowTrain(train, first.length - 28));
          }
          expect(hex(back)).toEqual(before);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('go into one train as far as one call takes them, and a shorter one ends it', () => {
    const one = { length: 1500, port: 0x8000, hop: 0, to: 0x0a000201, repeat: 100 };
    const sizes = (batch: PacketBatch) => {
      const trains = new Trains();
      const found: number[] = [];
      for (let from = trains.find(batch, Action.Send, 0); trains.count > 0; ) {
        found.push(trains.count);
        from = trains.find(batch, Action.Send, from);
      }
      return found;
    };
    expect(sizes(batchOf([one]))).toEqual([43, 43, 14]);
    expect(sizes(batchOf([{ ...one, length: 60 }]))).toEqual([64, 36]);
    const short = { ...one, length: 60, repeat: 1 };
    expect(sizes(batchOf([{ ...one, repeat: 3 }, short, { ...one, repeat: 2 }]))).toEqual([4, 2]);
    expect(sizes(batchOf([short, { ...one, repeat: 2 }]))).toEqual([1, 2]);
    expect(
      sizes(
        batchOf([
          { ...one, repeat: 2 },
          { ...one, port: 0x8001, repeat: 2 },
        ]),
      ),
    ).toEqual([2, 2]);
    expect(
      sizes(
        batchOf([
          { ...one, repeat: 2 },
          { ...one, to: 0x0a000401, repeat: 2 },
        ]),
      ),
    ).toEqual([2, 2]);
  });
});
