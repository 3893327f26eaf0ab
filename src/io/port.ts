import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';

/**
 * The ports that move packets. Small on purpose, so that ports can be wrapped (traced, recorded, made faulty).
 * All I/O is non-blocking; whoever owns a port waits for its `fd` with poll(2).
 */

/** What a port has done since it was opened. Plain numbers, only ever growing. */
export interface PortCounters {
  packets: number;
  bytes: number;
  /** System calls made. */
  calls: number;
  /** Packets lost because the kernel would not take them (queue full, EMSGSIZE, no route ...). */
  errors: number;
}

export interface PacketSource {
  /** Readable when there may be packets; -1 when the port needs no waiting. */
  readonly fd: number;
  readonly received: PortCounters;
  /** Packets are here already that did not fit into the last batch: not to be waited for. Absent where there never are. */
  readonly pending?: boolean;
  /**
   * Appends packets to the batch until it is full or the port would block.
   * @returns how many were appended. Throws only when the port itself is gone.
   */
  receive(batch: PacketBatch): number;
  close(): void;
}

export interface PacketSink {
  readonly sent: PortCounters;
  /**
   * Sends those packets of the batch whose action is `action`, in order.
   * @returns how many the kernel took; the others are counted as errors.
   */
  send(batch: PacketBatch, action: Action): number;
  close(): void;
}
