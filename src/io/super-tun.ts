import type { PacketBatch } from '../path/batch.js';
import { Coalescer, MOST_MERGED } from '../path/coalesce.js';
import { Segmenter } from '../path/segment.js';
import type { Action } from '../path/verdict.js';
import { LARGEST_SUPER_PACKET, VNET_HEADER } from '../wire/virtio-net.js';
import { newCounters } from './counters.js';
import { GatherVector } from './gather-vector.js';
import { ArenaAddress, type Libc, libc } from './libc.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';
import { Errno, SystemError } from './system-error.js';
import { endReading, openTunQueue, type TunOptions, type TunQueue } from './tun.js';

/** What a {@link SuperTunPort} needs of a batch's `extra` bytes, from their beginning. */
export const SUPER_TUN_EXTRA = (VNET_HEADER + LARGEST_SUPER_PACKET + 63) & ~63;

/**
 * A TUN device with offloads: one read brings up to 64 KiB of a flow, and one write takes as much. In the batch are
 * single packets all the same, finished and in the order they had: super-packets are cut where they come in
 * (`path/segment.ts`) and joined where they go out (`path/coalesce.ts`). Counters count the single packets.
 */
export class SuperTunPort implements PacketSource, PacketSink {
  readonly name: string;
  readonly mtu: number;
  readonly offload: TunQueue['offload'];
  /** As in {@link TunQueue}. */
  readonly spreadReason: string;
  readonly received: PortCounters = newCounters();
  readonly sent: PortCounters = newCounters();
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly receiveArena = new ArenaAddress();
  private readonly sendArena = new ArenaAddress();
  private readonly segmenter = new Segmenter();
  private readonly coalescer = new Coalescer();
  private readonly vector = new GatherVector(MOST_MERGED);

  private constructor(queue: TunQueue) {
    this.descriptor = queue.fd;
    this.name = queue.name;
    this.mtu = queue.mtu;
    this.spreadReason = queue.spreadReason;
    this.offload = queue.offload;
  }

  /** Creates the device or attaches to it. Throws a {@link SystemError} where the kernel has no such offloads. */
  static open(options: TunOptions): SuperTunPort {
    return new SuperTunPort(openTunQueue(options, true));
  }

  get fd(): number {
    return this.descriptor;
  }

  /** Packets of the super-packet read last are still to be taken: poll(2) knows nothing of them. */
  get pending(): boolean {
    return this.segmenter.pending;
  }

  /** One super-packet per system call, up to the free slots; what does not fit comes first in the next batch. */
  receive(batch: PacketBatch): number {
    if (batch.maxPacket < this.mtu || batch.extra < SUPER_TUN_EXTRA) {
      throw new RangeError(
        `${this.name} has an MTU of ${this.mtu}, but the batch takes packets of up to ${batch.maxPacket} bytes, ` +
          `and has ${batch.extra} bytes for super-packets`,
      );
    }
    const { libc, received, segmenter } = this;
    const address = this.receiveArena.of(batch) + batch.extraOffset;
    const first = batch.count;
    segmenter.fill(batch);
    while (batch.count < batch.capacity) {
      received.calls++;
      const length = libc.read(this.descriptor, address, SUPER_TUN_EXTRA);
      if (length <= 0) {
        const errno = length === 0 ? Errno.EAGAIN : libc.errno();
        if (errno === Errno.EINTR) continue;
        endReading(errno, received, this.name);
        break;
      }
      if (segmenter.begin(batch, batch.extraOffset, length)) segmenter.fill(batch);
      else received.errors++;
    }
    for (let i = first; i < batch.count; i++) received.bytes += batch.length[i];
    received.packets += batch.count - first;
    return batch.count - first;
  }

  /** As `TunPort.send`; changes the headers of the packets it joins. */
  send(batch: PacketBatch, action: Action): number {
    const { libc, sent, coalescer, vector } = this;
    const { slots } = coalescer;
    const arena = this.sendArena.of(batch);
    let taken = 0;
    for (let from = 0; ; ) {
      from = coalescer.find(batch, action, from);
      const { count } = coalescer;
      if (count === 0) break;
      coalescer.write(batch);
      const at = arena + batch.offset[slots[0]] - VNET_HEADER;
      let bytes = batch.length[slots[0]];
      let written = VNET_HEADER + bytes;
      sent.calls++;
      let result = 0;
      if (count === 1) {
        result = libc.write(this.descriptor, at, written);
      } else {
        vector.clear();
        vector.add(at, written);
        for (let k = 1; k < count; k++) {
          const size = batch.length[slots[k]] - coalescer.headers;
          vector.add(arena + batch.offset[slots[k]] + coalescer.headers, size);
          bytes += batch.length[slots[k]];
          written += size;
        }
        result = libc.writev(this.descriptor, vector.address, count);
      }
      if (result === written) {
        taken += count;
        sent.bytes += bytes;
        continue;
      }
      sent.errors += count;
      const errno = libc.errno();
      if (errno === Errno.EBADFD || errno === Errno.EBADF) throw new SystemError('write', errno, this.name);
    }
    sent.packets += taken;
    return taken;
  }

  /** Closes the queue; the device goes with its last one unless it is persistent. */
  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
