import { BATCH_CAPACITY, type PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { newCounters } from './counters.js';
import {
  AF_INET,
  ArenaAddress,
  check,
  type Libc,
  libc,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from './libc.js';
import { MessageVector } from './message-vector.js';
import type { PacketSink, PortCounters } from './port.js';
import { bindIpv4, setSendBuffer } from './socket.js';
import { Errno, NEEDS_NET_RAW, SystemError } from './system-error.js';

/** Implies IP_HDRINCL: what we send starts with our own IPv4 header (raw(7)). */
const IPPROTO_RAW = 255;
const SEND_BUFFER = 8 << 20;

export interface RawSenderOptions {
  /** Own DIP as a number (host order). Opening fails when no interface here has it. */
  readonly sourceDip?: number;
}

/**
 * Sends IPv4 packets with our own header over the underlay, 64 per sendmmsg(2), each to its `nextHop`.
 *
 * The kernel routes by `nextHop`, fills in the header checksum, and refuses with EMSGSIZE what is larger than the
 * interface's MTU: it does not fragment. Where its queue is full it drops silently.
 */
export class RawSender implements PacketSink {
  readonly sent: PortCounters = newCounters();
  /** Packets refused with EMSGSIZE; they are among `sent.errors` too. */
  tooBig = 0;
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly arena = new ArenaAddress();
  private readonly messages = new MessageVector(BATCH_CAPACITY);
  private queued = 0;

  constructor(options: RawSenderOptions = {}) {
    this.descriptor = check(
      this.libc.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW),
      'socket',
      'AF_INET SOCK_RAW',
      { EPERM: NEEDS_NET_RAW },
    );
    try {
      setSendBuffer(this.descriptor, SEND_BUFFER);
      if (options.sourceDip !== undefined) bindIpv4(this.descriptor, options.sourceDip, 0);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  static open(options: RawSenderOptions = {}): RawSender {
    return new RawSender(options);
  }

  send(batch: PacketBatch, action: Action): number {
    const count = batch.count;
    let taken = 0;
    for (let i = 0; i < count; i++) {
      if (batch.action[i] === action) taken += this.queue(batch, i);
    }
    return taken + this.flush();
  }

  /** Takes packet `i` for the next call, which is made when there is no more room for it. @returns as {@link flush} */
  queue(batch: PacketBatch, i: number): number {
    const { messages } = this;
    const taken = this.queued === messages.capacity ? this.flush() : 0;
    messages.setBuffer(this.queued, this.arena.of(batch) + batch.offset[i], batch.length[i]);
    messages.setIpv4(this.queued, batch.nextHop[i], 0);
    this.queued++;
    return taken;
  }

  /** Sends what is queued. @returns how many of it the kernel took */
  flush(): number {
    const count = this.queued;
    this.queued = 0;
    return count === 0 ? 0 : this.sendQueued(count);
  }

  /** Sends messages 0 .. count-1. A packet that the kernel refuses is skipped; those behind it still go. */
  private sendQueued(count: number): number {
    const { libc, messages, sent } = this;
    let next = 0;
    let taken = 0;
    while (next < count) {
      sent.calls++;
      const done = libc.sendmmsg(this.descriptor, messages.addressAt(next), count - next, 0);
      if (done > 0) {
        for (const end = next + done; next < end; next++) sent.bytes += messages.bufferLength(next);
        taken += done;
        continue;
      }
      // sendmmsg stops in front of the packet that fails and names its error when it comes first in a call.
      const errno = libc.errno();
      if (errno === Errno.EINTR) continue;
      if (errno === Errno.EBADF) throw new SystemError('sendmmsg', errno, 'the raw socket');
      if (errno === Errno.EAGAIN) {
        // The send buffer is full: the packets behind would fare no better, one system call each.
        sent.errors += count - next;
        break;
      }
      if (errno === Errno.EMSGSIZE) this.tooBig++;
      sent.errors++;
      next++;
    }
    sent.packets += taken;
    return taken;
  }

  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
