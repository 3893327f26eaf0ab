import { HEADROOM, PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { newCounters } from './counters.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';

/**
 * Ports around ports. A wrapper takes a source and a sink (the same object where one port is both), is a source and
 * a sink itself, and so wraps and is wrapped in any order. For tests, experiments and cold paths.
 */

/** Called for every packet: `in` after it was received, `out` before it is sent. */
export type Trace = (direction: 'in' | 'out', batch: PacketBatch, index: number) => void;

/** Shows every packet to a function. */
export class TracingPort implements PacketSource, PacketSink {
  constructor(
    private readonly source: PacketSource,
    private readonly sink: PacketSink,
    private readonly trace: Trace,
  ) {}

  get fd(): number {
    return this.source.fd;
  }

  get received(): PortCounters {
    return this.source.received;
  }

  get sent(): PortCounters {
    return this.sink.sent;
  }

  receive(batch: PacketBatch): number {
    const first = batch.count;
    const count = this.source.receive(batch);
    for (let i = first; i < batch.count; i++) this.trace('in', batch, i);
    return count;
  }

  send(batch: PacketBatch, action: Action): number {
    for (let i = 0; i < batch.count; i++) {
      if (batch.action[i] === action) this.trace('out', batch, i);
    }
    return this.sink.send(batch, action);
  }

  close(): void {
    closeBoth(this.source, this.sink);
  }
}

/** What a {@link FaultyPort} does to packets, in both directions. Rates are probabilities, 0 by default. */
export interface Faults {
  /** The same seed and the same packets give the same faults. */
  readonly seed: number;
  /** The packet is lost. */
  readonly drop?: number;
  /** One bit of it is flipped. */
  readonly corrupt?: number;
  /** It comes twice, where there is room for it. */
  readonly duplicate?: number;
}

/** Loses, damages and repeats packets, by a seeded random. */
export class FaultyPort implements PacketSource, PacketSink {
  readonly received: PortCounters = newCounters();
  readonly sent: PortCounters = newCounters();
  /** Faults made so far. */
  readonly faults = { dropped: 0, corrupted: 0, duplicated: 0 };
  private readonly random: () => number;
  private readonly drop: number;
  private readonly corrupt: number;
  private readonly duplicate: number;
  /** Packets on their way out; two places each, for duplicates. */
  private scratch = new PacketBatch({ capacity: 2, maxPacket: 0 });

  constructor(
    private readonly source: PacketSource,
    private readonly sink: PacketSink,
    options: Faults,
  ) {
    this.random = mulberry32(options.seed);
    this.drop = options.drop ?? 0;
    this.corrupt = options.corrupt ?? 0;
    this.duplicate = options.duplicate ?? 0;
  }

  get fd(): number {
    return this.source.fd;
  }

  receive(batch: PacketBatch): number {
    const first = batch.count;
    this.received.calls++;
    this.source.receive(batch);
    const last = batch.count;
    const twice: number[] = [];
    batch.count = first;
    for (let i = first; i < last; i++) {
      const copies = this.misfortune(batch, i);
      if (copies === 0) continue;
      if (copies === 2) twice.push(batch.count);
      // Close ranks behind dropped packets.
      if (i === batch.count) batch.count++;
      else copyInto(batch, batch, i);
    }
    // Duplicates come last, as late copies do.
    for (const index of twice) copyInto(batch, batch, index);
    for (let i = first; i < batch.count; i++) this.received.bytes += batch.length[i];
    this.received.packets += batch.count - first;
    return batch.count - first;
  }

  /** @returns what the sink took; packets lost here count neither there nor as errors. */
  send(batch: PacketBatch, action: Action): number {
    const outgoing = this.scratchFor(batch);
    this.sent.calls++;
    for (let i = 0; i < batch.count; i++) {
      if (batch.action[i] !== action) continue;
      const at = outgoing.count;
      outgoing.push(batch.packet(i));
      outgoing.action[at] = action;
      outgoing.nextHop[at] = batch.nextHop[i];
      const copies = this.misfortune(outgoing, at);
      if (copies === 0) outgoing.count = at;
      if (copies === 2) copyInto(outgoing, outgoing, at);
    }
    const bytes = this.sink.sent.bytes;
    const taken = this.sink.send(outgoing, action);
    this.sent.packets += taken;
    this.sent.bytes += this.sink.sent.bytes - bytes;
    this.sent.errors += outgoing.count - taken;
    return taken;
  }

  close(): void {
    closeBoth(this.source, this.sink);
  }

  /** Damages the packet perhaps. @returns how many copies of it go on: 0, 1 or 2 */
  private misfortune(batch: PacketBatch, index: number): number {
    if (this.random() < this.drop) {
      this.faults.dropped++;
      return 0;
    }
    if (this.random() < this.corrupt && batch.length[index] > 0) {
      const bit = Math.floor(this.random() * batch.length[index] * 8);
      batch.bytes[batch.offset[index] + (bit >>> 3)] ^= 1 << (bit & 7);
      this.faults.corrupted++;
    }
    if (this.random() < this.duplicate) {
      this.faults.duplicated++;
      return 2;
    }
    return 1;
  }

  private scratchFor(batch: PacketBatch): PacketBatch {
    const capacity = 2 * batch.capacity;
    const maxPacket = batch.maxPacket + HEADROOM;
    if (this.scratch.capacity < capacity || this.scratch.maxPacket < maxPacket) {
      this.scratch = new PacketBatch({ capacity, maxPacket });
    }
    this.scratch.clear();
    return this.scratch;
  }
}

/** Appends packet `index` of `from`, as far into its new slot as it was in the old; no-op on a full batch. */
function copyInto(to: PacketBatch, from: PacketBatch, index: number): void {
  const at = to.count;
  if (at === to.capacity) return;
  const shift = from.offset[index] - from.payloadOffset(index);
  const offset = to.payloadOffset(at) + shift;
  to.bytes.set(from.packet(index), offset);
  to.offset[at] = offset;
  to.length[at] = from.length[index];
  to.verdict[at] = from.verdict[index];
  to.action[at] = from.action[index];
  to.nextHop[at] = from.nextHop[index];
  to.count = at + 1;
}

function closeBoth(source: PacketSource, sink: PacketSink): void {
  source.close();
  if ((sink as object) !== source) sink.close();
}

/** Tommy Ettinger's mulberry32: 32 bits of state, good enough for faults, the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
