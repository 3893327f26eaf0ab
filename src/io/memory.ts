import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { newCounters } from './counters.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';

/** A packet that was sent into a {@link MemoryPort}. */
export interface SentPacket {
  /** A copy of its own. */
  readonly bytes: Uint8Array;
  readonly action: Action;
  /** The batch's `nextHop` at the time. */
  readonly nextHop: number;
}

/** A port without a kernel: packets come from a queue and go to a list. For replay and tests. */
export class MemoryPort implements PacketSource, PacketSink {
  readonly fd = -1;
  readonly received: PortCounters = newCounters();
  readonly sent: PortCounters = newCounters();
  /** Everything sent so far, in order. */
  readonly log: SentPacket[] = [];
  private readonly queue: Uint8Array[] = [];
  private head = 0;

  constructor(packets: Iterable<Uint8Array> = []) {
    for (const packet of packets) this.offer(packet);
  }

  /** Queues a packet to be received. It is not copied: leave it alone until then. */
  offer(packet: Uint8Array): void {
    this.queue.push(packet);
  }

  /** Packets waiting to be received. */
  get waiting(): number {
    return this.queue.length - this.head;
  }

  /** A packet larger than the batch's slots is lost and counted as an error. */
  receive(batch: PacketBatch): number {
    const first = batch.count;
    this.received.calls++;
    while (this.head < this.queue.length && batch.count < batch.capacity) {
      const packet = this.queue[this.head++];
      if (batch.push(packet)) {
        this.received.packets++;
        this.received.bytes += packet.length;
      } else {
        this.received.errors++;
      }
    }
    if (this.head === this.queue.length) {
      this.queue.length = 0;
      this.head = 0;
    }
    return batch.count - first;
  }

  send(batch: PacketBatch, action: Action): number {
    let taken = 0;
    this.sent.calls++;
    for (let i = 0; i < batch.count; i++) {
      if (batch.action[i] !== action) continue;
      // Uint8Array.from copies; a Buffer's own slice() would not.
      this.log.push({ bytes: Uint8Array.from(batch.packet(i)), action, nextHop: batch.nextHop[i] });
      this.sent.bytes += batch.length[i];
      taken++;
    }
    this.sent.packets += taken;
    return taken;
  }

  close(): void {}
}
