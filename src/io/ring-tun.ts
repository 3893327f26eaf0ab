import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { newCounters } from './counters.js';
import { ArenaAddress, libc } from './libc.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';
import { ReadAhead } from './read-ahead.js';
import { RING_CAPACITY, type Ring } from './ring.js';
import { Errno, SystemError } from './system-error.js';
import { checkSlots, endReading, openTunQueue, type TunOptions, type TunQueue } from './tun.js';

/**
 * A TUN device read and written in batches: up to 64 packets with one system call, through an io_uring. In all else a
 * `TunPort`, which is its plain twin.
 */
export class RingTunPort implements PacketSource, PacketSink {
  readonly name: string;
  readonly mtu: number;
  /** As in {@link TunQueue}. */
  readonly spreadReason: string;
  readonly received: PortCounters = newCounters();
  readonly sent: PortCounters = newCounters();
  private descriptor: number;
  private readonly receiveArena = new ArenaAddress();
  private readonly sendArena = new ArenaAddress();
  private readonly readAhead = new ReadAhead(RING_CAPACITY);
  /** Batch slots of the writes under way. */
  private readonly slots = new Int32Array(RING_CAPACITY);

  private constructor(
    queue: TunQueue,
    private readonly ring: Ring,
  ) {
    this.descriptor = queue.fd;
    this.name = queue.name;
    this.mtu = queue.mtu;
    this.spreadReason = queue.spreadReason;
  }

  /** As `TunPort.open`. @param ring closed with the port */
  static open(options: TunOptions, ring: Ring): RingTunPort {
    return new RingTunPort(openTunQueue(options, false), ring);
  }

  get fd(): number {
    return this.descriptor;
  }

  /** As `TunPort.receive`, but for the number of system calls. */
  receive(batch: PacketBatch): number {
    checkSlots(this, batch);
    const { ring, received, readAhead } = this;
    const arena = this.receiveArena.of(batch);
    const first = batch.count;
    while (batch.count < batch.capacity) {
      const from = batch.count;
      const asked = Math.min(batch.capacity - from, readAhead.next);
      for (let i = 0; i < asked; i++) {
        ring.read(this.descriptor, arena + batch.payloadOffset(from + i), batch.maxPacket);
      }
      received.calls++;
      ring.submit();
      for (let i = 0; i < asked; i++) this.take(batch, from + i, ring.result(i));
      const came = batch.count - from;
      received.packets += came;
      readAhead.learn(asked, came);
      // A short answer means that the queue was empty a moment ago.
      if (came < asked) break;
    }
    return batch.count - first;
  }

  /** Takes what was read into slot `slot`, `length` bytes of it or -errno, as the batch's next packet. */
  private take(batch: PacketBatch, slot: number, length: number): void {
    if (length <= 0) {
      endReading(length === 0 ? Errno.EAGAIN : -length, this.received, this.name);
      return;
    }
    const index = batch.count;
    const offset = batch.payloadOffset(index);
    if (slot !== index) {
      // Rare: a read before this one found nothing, and then a packet came.
      const at = batch.payloadOffset(slot);
      batch.bytes.copyWithin(offset, at, at + length);
    }
    batch.append(offset, length);
    this.received.bytes += length;
  }

  /** As `TunPort.send`, but for the number of system calls. */
  send(batch: PacketBatch, action: Action): number {
    const { ring, slots } = this;
    const arena = this.sendArena.of(batch);
    const count = batch.count;
    let taken = 0;
    let queued = 0;
    for (let i = 0; i < count; i++) {
      if (batch.action[i] !== action) continue;
      slots[queued++] = i;
      ring.write(this.descriptor, arena + batch.offset[i], batch.length[i]);
      if (queued < RING_CAPACITY) continue;
      taken += this.flush(batch, queued);
      queued = 0;
    }
    if (queued > 0) taken += this.flush(batch, queued);
    this.sent.packets += taken;
    return taken;
  }

  private flush(batch: PacketBatch, count: number): number {
    const { ring, sent, slots } = this;
    sent.calls++;
    ring.submit();
    let taken = 0;
    for (let k = 0; k < count; k++) {
      const result = ring.result(k);
      if (result === batch.length[slots[k]]) {
        taken++;
        sent.bytes += result;
      } else {
        sent.errors++;
        if (result === -Errno.EBADFD || result === -Errno.EBADF) {
          throw new SystemError('write', -result, this.name);
        }
      }
    }
    return taken;
  }

  /** Closes the queue; the device goes with its last one unless it is persistent. */
  close(): void {
    if (this.descriptor < 0) return;
    this.ring.close();
    libc().close(this.descriptor);
    this.descriptor = -1;
  }
}
