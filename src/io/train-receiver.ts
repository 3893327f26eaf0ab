import { BATCH_CAPACITY, type PacketBatch } from '../path/batch.js';
import { formatIpv4 } from '../wire/address.js';
import { newCounters } from './counters.js';
import { type GueReceiverOptions, GueSocket } from './gue-socket.js';
import { ArenaAddress, type Libc, libc, MSG_DONTWAIT, MSG_TRUNC } from './libc.js';
import { MessageVector } from './message-vector.js';
import type { PacketSource, PortCounters } from './port.js';
import { setOption } from './socket.js';
import { SUPER_TUN_EXTRA } from './super-tun.js';
import { Errno, SystemError } from './system-error.js';
import { OUTER_SIZE, writeOuter } from './udp.js';

const SOL_UDP = 17;
const UDP_GRO = 104;

/** Bytes for one message: the longest train, and a distance that spreads messages over the cache's sets. */
const MESSAGE_SIZE = 0x10000 + 64;
const MESSAGES = BATCH_CAPACITY;

/** What ports with offloads need of a batch's `extra` bytes: the TUN's come first, then a {@link TrainReceiver}'s. */
export const OFFLOAD_EXTRA = SUPER_TUN_EXTRA + MESSAGES * MESSAGE_SIZE;

/**
 * Receives GUE datagrams in trains (`UDP_GRO`): datagrams of a flow that came together, and are of one length but for
 * the last, cost one message. In the batch each has its slot, with its outer headers written anew as `GueReceiver`
 * does it. Counters count the single datagrams.
 */
export class TrainReceiver implements PacketSource {
  readonly received: PortCounters = newCounters();
  private readonly socket: GueSocket;
  private readonly libc: Libc = libc();
  private readonly arena = new ArenaAddress();
  private readonly messages = new MessageVector(MESSAGES, { trains: true });
  /** The message to be cut next, and how far; those before `messageCount` are here and not in a batch yet. */
  private message = 0;
  private messageCount = 0;
  private done = 0;

  private constructor(private readonly options: GueReceiverOptions) {
    this.socket = new GueSocket(options);
    if (!setOption(this.socket.fd, SOL_UDP, UDP_GRO, 1)) {
      const errno = this.libc.errno();
      this.socket.close();
      throw new SystemError('setsockopt', errno, 'UDP_GRO');
    }
  }

  /** Binds the socket. Throws a {@link SystemError} where the kernel has no UDP_GRO (before Linux 5.0). */
  static open(options: GueReceiverOptions): TrainReceiver {
    return new TrainReceiver(options);
  }

  get fd(): number {
    return this.socket.fd;
  }

  /** Datagrams of the trains received last are still to be taken: poll(2) knows nothing of them. */
  get pending(): boolean {
    return this.message < this.messageCount;
  }

  receive(batch: PacketBatch): number {
    const { received } = this;
    const first = batch.count;
    this.take(batch);
    while (batch.count < batch.capacity) {
      // No more messages than slots: mostly they are single datagrams, and what is over would wait.
      const wanted = Math.min(batch.capacity - batch.count, MESSAGES);
      const count = this.receiveMessages(batch, wanted);
      this.message = 0;
      this.messageCount = count;
      this.done = 0;
      this.take(batch);
      if (count < wanted) break;
    }
    for (let i = first; i < batch.count; i++) received.bytes += batch.length[i];
    received.packets += batch.count - first;
    return batch.count - first;
  }

  private receiveMessages(batch: PacketBatch, wanted: number): number {
    const { messages, received, options } = this;
    const area = this.arena.of(batch) + batch.extraOffset + SUPER_TUN_EXTRA;
    for (let i = 0; i < wanted; i++) {
      messages.setBuffer(i, area + i * MESSAGE_SIZE, MESSAGE_SIZE);
      messages.resetForReceive(i);
    }
    for (;;) {
      received.calls++;
      const count = this.libc.recvmmsg(this.socket.fd, messages.address, wanted, MSG_DONTWAIT, 0);
      if (count >= 0) return count;
      const errno = this.libc.errno();
      if (errno === Errno.EINTR) continue;
      if (errno === Errno.EAGAIN) return 0;
      if (errno === Errno.ENOMEM || errno === Errno.ENOBUFS) {
        received.errors++;
        return 0;
      }
      throw new SystemError('recvmmsg', errno, `${formatIpv4(options.dip)}:${options.port}`);
    }
  }

  /** Cuts messages into the free slots. */
  private take(batch: PacketBatch): void {
    const { messages, received, options } = this;
    const { dip, port } = options;
    while (this.message < this.messageCount) {
      const { message } = this;
      const total = messages.received(message);
      const segment = messages.segmentSize(message);
      // An empty datagram is one all the same.
      const size = segment > 0 ? segment : Math.max(1, total);
      const from = batch.extraOffset + SUPER_TUN_EXTRA + message * MESSAGE_SIZE;
      const source = messages.ipv4(message);
      const sourcePort = messages.port(message);
      const cut = (messages.flags(message) & MSG_TRUNC) !== 0;
      let { done } = this;
      do {
        if (batch.count === batch.capacity) {
          this.done = done;
          return;
        }
        const length = Math.min(size, total - done);
        if (cut || length > batch.maxPacket) {
          received.errors++;
        } else {
          const payload = batch.payloadOffset(batch.count);
          batch.arena.copy(payload, from + done, length);
          const offset = payload - OUTER_SIZE;
          writeOuter(batch.data, offset, OUTER_SIZE + length, source, sourcePort, dip, port);
          batch.append(offset, OUTER_SIZE + length);
        }
        done += size;
      } while (done < total);
      this.done = 0;
      this.message = message + 1;
    }
  }

  kernelDrops(): number {
    return this.socket.kernelDrops();
  }

  close(): void {
    this.socket.close();
  }
}
