import type { PacketBatch } from '../path/batch.js';
import { Coalescer, MOST_MERGED } from '../path/coalesce.js';
import { Segmenter } from '../path/segment.js';
import type { Action } from '../path/verdict.js';
import { LARGEST_SUPER_PACKET, VNET_HEADER } from '../wire/virtio-net.js';
import { newCounters } from './counters.js';
import { GatherVector } from './gather-vector.js';
import { ArenaAddress, type Libc, libc } from './libc.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';
import { ReadAhead } from './read-ahead.js';
import { RING_CAPACITY, type Ring } from './ring.js';
import { Errno, SystemError } from './system-error.js';
import { endReading, openTunQueue, type TunOptions, type TunQueue } from './tun.js';

/** Bytes for what one read brings: an odd number of 64-byte lines, so that reads do not share cache sets. */
const READ_SIZE = 64 * (Math.ceil((VNET_HEADER + LARGEST_SUPER_PACKET) / 64) | 1);
/** Reads with one call: what they bring should stay in the second-level cache until it has been cut. */
const MOST_READS = 8;

/** What a {@link SuperTunPort} needs of a batch's `extra` bytes, from their beginning. */
export const SUPER_TUN_EXTRA = MOST_READS * READ_SIZE;

/**
 * A TUN device with offloads: one read brings up to 64 KiB of a flow, and one write takes as much. In the batch are
 * single packets all the same, finished and in the order they had: super-packets are cut where they come in
 * (`path/segment.ts`) and joined where they go out (`path/coalesce.ts`). Counters count the single packets.
 *
 * With an io_uring, a system call reads several of what the device gives, and writes as many single packets as follow
 * each other. Without one, which is its plain twin, each has its own call.
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
  private readonly readAhead = new ReadAhead(MOST_READS);
  /** What has been read, by its place in `extra`; those before `readNext` are in a batch already. */
  private readonly lengths = new Int32Array(MOST_READS);
  private readCount = 0;
  private readNext = 0;
  /** Batch slots of the single packets whose writes are prepared. */
  private readonly queued = new Int32Array(RING_CAPACITY);
  private queuedCount = 0;

  private constructor(
    queue: TunQueue,
    private readonly ring: Ring | null,
  ) {
    this.descriptor = queue.fd;
    this.name = queue.name;
    this.mtu = queue.mtu;
    this.spreadReason = queue.spreadReason;
    this.offload = queue.offload;
  }

  /**
   * Creates the device or attaches to it. Throws a {@link SystemError} where the kernel has no such offloads.
   * @param ring closed with the port; null: a system call for each read and write
   */
  static open(options: TunOptions, ring: Ring | null = null): SuperTunPort {
    return new SuperTunPort(openTunQueue(options, true), ring);
  }

  get fd(): number {
    return this.descriptor;
  }

  /** Packets of what was read last are still to be taken: poll(2) knows nothing of them. */
  get pending(): boolean {
    return this.segmenter.pending || this.readNext < this.readCount;
  }

  /** Fills the free slots, as far as there is something; what does not fit comes first in the next batch. */
  receive(batch: PacketBatch): number {
    if (batch.maxPacket < this.mtu || batch.extra < SUPER_TUN_EXTRA) {
      throw new RangeError(
        `${this.name} has an MTU of ${this.mtu}, but the batch takes packets of up to ${batch.maxPacket} bytes, ` +
          `and has ${batch.extra} bytes for super-packets`,
      );
    }
    const { received, segmenter } = this;
    const address = this.receiveArena.of(batch) + batch.extraOffset;
    const first = batch.count;
    segmenter.fill(batch);
    for (let more = true; batch.count < batch.capacity; ) {
      if (this.readNext < this.readCount) {
        const index = this.readNext++;
        if (this.lengths[index] === 0) continue;
        const from = batch.extraOffset + index * READ_SIZE;
        if (segmenter.begin(batch, from, this.lengths[index])) segmenter.fill(batch);
        else received.errors++;
      } else if (more) {
        more = this.ring === null ? this.readOne(address) : this.readSome(this.ring, address);
      } else break;
    }
    for (let i = first; i < batch.count; i++) received.bytes += batch.length[i];
    received.packets += batch.count - first;
    return batch.count - first;
  }

  /** @returns whether there may be more */
  private readOne(address: number): boolean {
    const { libc, received } = this;
    received.calls++;
    const length = libc.read(this.descriptor, address, READ_SIZE);
    this.readNext = 0;
    this.readCount = length > 0 ? 1 : 0;
    this.lengths[0] = length;
    if (length > 0) return true;
    const errno = length === 0 ? Errno.EAGAIN : libc.errno();
    if (errno === Errno.EINTR) return true;
    endReading(errno, received, this.name);
    return false;
  }

  /** As {@link readOne}, with one call for several reads. */
  private readSome(ring: Ring, address: number): boolean {
    const { received, readAhead, lengths } = this;
    const asked = readAhead.next;
    for (let i = 0; i < asked; i++) ring.read(this.descriptor, address + i * READ_SIZE, READ_SIZE);
    received.calls++;
    ring.submit();
    let came = 0;
    let isLarge = false;
    for (let i = 0; i < asked; i++) {
      const length = ring.result(i);
      // Rare: a read found nothing, and then a packet came for the next. Nothing lies before it then.
      lengths[i] = Math.max(length, 0);
      if (length > 0) came = i + 1;
      else endReading(length === 0 ? Errno.EAGAIN : -length, received, this.name);
      if (length > VNET_HEADER + this.mtu) isLarge = true;
    }
    this.readNext = 0;
    this.readCount = came;
    readAhead.learn(asked, came);
    // Super-packets are worth a call each, and many of them would not stay in the cache.
    if (isLarge) readAhead.restart();
    return came === asked;
  }

  /** As `TunPort.send`; changes the headers of the packets it joins. */
  send(batch: PacketBatch, action: Action): number {
    const { ring, sent, coalescer } = this;
    const arena = this.sendArena.of(batch);
    let taken = 0;
    for (let from = 0; ; ) {
      from = coalescer.find(batch, action, from);
      if (coalescer.count === 0) break;
      coalescer.write(batch);
      if (coalescer.count > 1) {
        // In their order: what came before goes first.
        if (this.queuedCount > 0 && ring !== null) taken += this.flush(ring, batch);
        taken += this.writeJoined(batch, arena);
        continue;
      }
      const slot = coalescer.slots[0];
      const at = arena + batch.offset[slot] - VNET_HEADER;
      const size = VNET_HEADER + batch.length[slot];
      if (ring === null) {
        sent.calls++;
        taken += this.written(this.libc.write(this.descriptor, at, size), size, 1, batch.length[slot]);
        continue;
      }
      ring.write(this.descriptor, at, size);
      this.queued[this.queuedCount++] = slot;
      if (this.queuedCount === RING_CAPACITY) taken += this.flush(ring, batch);
    }
    if (this.queuedCount > 0 && ring !== null) taken += this.flush(ring, batch);
    sent.packets += taken;
    return taken;
  }

  /** Makes the writes that are prepared. @returns how many packets the kernel took */
  private flush(ring: Ring, batch: PacketBatch): number {
    const { sent, queued, queuedCount } = this;
    this.queuedCount = 0;
    sent.calls++;
    ring.submit();
    let taken = 0;
    for (let k = 0; k < queuedCount; k++) {
      const length = batch.length[queued[k]];
      const result = ring.result(k);
      if (result === VNET_HEADER + length) {
        taken++;
        sent.bytes += length;
      } else this.refused(1, -result);
    }
    return taken;
  }

  /** Writes the run that the coalescer found as one super-packet. @returns how many packets the kernel took */
  private writeJoined(batch: PacketBatch, arena: number): number {
    const { sent, coalescer, vector } = this;
    const { slots, count, headers } = coalescer;
    let bytes = batch.length[slots[0]];
    let size = VNET_HEADER + bytes;
    vector.clear();
    vector.add(arena + batch.offset[slots[0]] - VNET_HEADER, size);
    for (let k = 1; k < count; k++) {
      const length = batch.length[slots[k]];
      vector.add(arena + batch.offset[slots[k]] + headers, length - headers);
      bytes += length;
      size += length - headers;
    }
    sent.calls++;
    return this.written(this.libc.writev(this.descriptor, vector.address, count), size, count, bytes);
  }

  /** @param result of a system call that was to write `size` bytes; they stand for `count` packets of `bytes` in all */
  private written(result: number, size: number, count: number, bytes: number): number {
    if (result === size) {
      this.sent.bytes += bytes;
      return count;
    }
    this.refused(count, this.libc.errno());
    return 0;
  }

  private refused(count: number, errno: number): void {
    this.sent.errors += count;
    if (errno === Errno.EBADFD || errno === Errno.EBADF) throw new SystemError('write', errno, this.name);
  }

  /** Closes the queue; the device goes with its last one unless it is persistent. */
  close(): void {
    if (this.descriptor < 0) return;
    this.ring?.close();
    this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
