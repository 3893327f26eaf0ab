import { newCounters } from '../io/counters.js';
import type { PacketSink, PortCounters } from '../io/port.js';
import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import type { FromWorker } from './messages.js';

/**
 * A worker's end of a sender that only the main thread can own (the `raw-socket` package). It copies each packet
 * into a message: plain and slow, for where sendmmsg is not to be had.
 */
export class RemoteSender implements PacketSink {
  /** The main thread counts those. */
  readonly tooBig = 0;
  readonly sent: PortCounters = newCounters();

  constructor(private readonly post: (message: FromWorker) => void) {}

  send(batch: PacketBatch, action: Action): number {
    let count = 0;
    for (let i = 0; i < batch.count; i++) {
      if (batch.action[i] !== action) continue;
      this.post({ type: 'packet', bytes: Uint8Array.from(batch.packet(i)), nextHop: batch.nextHop[i] });
      this.sent.bytes += batch.length[i];
      count++;
    }
    this.sent.packets += count;
    return count;
  }

  close(): void {
    // The sender itself belongs to the main thread.
  }
}
