import { BATCH_CAPACITY, PacketBatch } from '../../src/path/batch.js';
import { PathCounters, Stage } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import type { SocketLookup } from '../../src/path/sockets.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import type { Flows } from './flows.js';
import type { Outcome } from './twin.js';

/** The path writes in front of a packet, and into the outer headers of one that it redirects; nothing further. */
const CHANGED_BYTES = 64;

/** The TypeScript path behind the same face as the native twin: prepared batches, processed over and over. */
export class ScriptPath {
  private readonly forwarder: Forwarder;
  private readonly redirector: Redirector;
  private readonly counters: PathCounters;
  private batches: PreparedBatch[] = [];
  private stage: Stage = Stage.Forward;
  private packets = 0;

  constructor(config: PathConfig, sockets: SocketLookup) {
    const state = new PathState(config);
    this.counters = new PathCounters(state.trafficsets.length);
    this.forwarder = new Forwarder(state, this.counters, sockets, BATCH_CAPACITY);
    this.redirector = new Redirector(state, this.counters, sockets, BATCH_CAPACITY);
  }

  fill(packets: readonly Uint8Array[], maxPacket: number, stage: Stage): void {
    this.stage = stage;
    this.packets = packets.length;
    this.batches = [];
    for (let at = 0; at < packets.length; at += BATCH_CAPACITY) {
      this.batches.push(new PreparedBatch(packets.slice(at, at + BATCH_CAPACITY), maxPacket));
    }
  }

  /** Bytes from slot to slot: the twin's must be the same. */
  get slotSize(): number {
    return this.batches[0].batch.slotSize;
  }

  /** Processes the packets `passes` times; nanoseconds per packet. Putting them back as they came is not timed. */
  round(passes: number): number {
    let milliseconds = 0;
    for (let pass = 0; pass < passes; pass++) {
      for (const prepared of this.batches) prepared.restore();
      const start = performance.now();
      this.process();
      milliseconds += performance.now() - start;
    }
    return (milliseconds * 1e6) / (passes * this.packets);
  }

  /**
   * Processes one packet each of flows `first` to `first + count - 1`, in the slots of the first batch that
   * {@link fill} made: each batch is written there first, as a system call would, and only the processing is timed.
   * Nanoseconds per packet.
   */
  stream(flows: Flows, first: number, count: number): number {
    const { batch } = this.batches[0];
    let milliseconds = 0;
    for (let done = 0; done < count; done += batch.count) {
      batch.clear();
      for (let i = 0; i < batch.capacity && done + i < count; i++) {
        const at = batch.payloadOffset(i);
        flows.write(first + done + i, batch.data, at);
        batch.append(at, flows.length);
      }
      const start = performance.now();
      if (this.stage === Stage.Forward) this.forwarder.process(batch);
      else this.redirector.process(batch);
      milliseconds += performance.now() - start;
    }
    return (milliseconds * 1e6) / count;
  }

  private process(): void {
    const { batches, stage } = this;
    for (let i = 0; i < batches.length; i++) {
      if (stage === Stage.Forward) this.forwarder.process(batches[i].batch);
      else this.redirector.process(batches[i].batch);
    }
  }

  outcome(index: number): Outcome {
    const { batch } = this.batches[Math.floor(index / BATCH_CAPACITY)];
    const slot = index % BATCH_CAPACITY;
    return {
      verdict: batch.verdict[slot],
      action: batch.action[slot],
      trafficset: batch.trafficset[slot],
      nextHop: batch.nextHop[slot],
      bytes: batch.packet(slot),
    };
  }

  /** What was counted since the path was made, by stage, trafficset and verdict. */
  counted(each: Parameters<PathCounters['forEach']>[0]): void {
    this.counters.forEach(each);
  }
}

/**
 * A batch that can be put back into the state in which its packets arrived, without allocating. Only the bytes that
 * the path may have changed are copied, so that the caches hold what they would hold in a node.
 */
export class PreparedBatch {
  readonly batch: PacketBatch;
  private readonly bytes: DataView;
  private readonly offset: Int32Array;
  private readonly length: Int32Array;
  private readonly count: number;

  constructor(packets: readonly Uint8Array[], maxPacket: number) {
    const batch = new PacketBatch({ maxPacket });
    for (const packet of packets) {
      if (!batch.push(packet)) throw new Error(`a packet of ${packet.length} bytes does not fit the batch`);
    }
    this.batch = batch;
    this.bytes = new DataView(Uint8Array.from(batch.bytes).buffer);
    this.offset = Int32Array.from(batch.offset);
    this.length = Int32Array.from(batch.length);
    this.count = batch.count;
  }

  restore(): void {
    const { batch, bytes, offset, length, count } = this;
    for (let i = 0; i < count; i++) {
      const start = offset[i];
      const end = start + Math.min(length[i], CHANGED_BYTES);
      for (let at = start; at < end; at += 4) batch.data.setInt32(at, bytes.getInt32(at));
      batch.offset[i] = start;
      batch.length[i] = length[i];
      batch.nextHop[i] = 0;
    }
    batch.count = count;
  }
}
