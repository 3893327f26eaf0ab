import { BATCH_CAPACITY, type PacketBatch } from '../path/batch.js';
import { formatIpv4 } from '../wire/address.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { encodeIpv4Into, IPV4_HEADER } from '../wire/ipv4.js';
import { encodeUdpInto, UDP_HEADER } from '../wire/udp.js';
import { newCounters } from './counters.js';
import { type GueReceiverOptions, GueSocket } from './gue-socket.js';
import { ArenaAddress, type Libc, libc, MSG_DONTWAIT, MSG_TRUNC } from './libc.js';
import { MessageVector } from './message-vector.js';
import type { PacketSource, PortCounters } from './port.js';
import { Errno, SystemError } from './system-error.js';

/** Outer IPv4 and UDP headers. */
export const OUTER_SIZE = IPV4_HEADER + UDP_HEADER;
/**
 * Receives GUE datagrams, 64 per recvmmsg(2), straight into the batch's slots.
 *
 * The kernel keeps the outer headers to itself, and the redirector wants them (to check, and to send the packet on
 * with nothing but the addresses changed). So they are written anew in front of each payload, as this load
 * balancer's own forwarder would have: TOS 0, id 0, DF, TTL 64, UDP checksum 0.
 */
export class GueReceiver implements PacketSource {
  readonly received: PortCounters = newCounters();
  private readonly socket: GueSocket;
  private readonly dip: number;
  private readonly port: number;
  private readonly libc: Libc = libc();
  private readonly arena = new ArenaAddress();
  private readonly messages = new MessageVector(BATCH_CAPACITY);

  private constructor(options: GueReceiverOptions) {
    this.socket = new GueSocket(options);
    this.dip = options.dip;
    this.port = options.port;
  }

  /** Binds the socket. Throws a {@link SystemError} with advice. */
  static open(options: GueReceiverOptions): GueReceiver {
    return new GueReceiver(options);
  }

  get fd(): number {
    return this.socket.fd;
  }

  receive(batch: PacketBatch): number {
    const { messages, received } = this;
    const first = batch.count;
    const arena = this.arena.of(batch);
    for (;;) {
      const from = batch.count;
      const free = Math.min(batch.capacity - from, messages.capacity);
      if (free === 0) break;
      for (let i = 0; i < free; i++) {
        messages.setBuffer(i, arena + batch.payloadOffset(from + i), batch.maxPacket);
        messages.resetForReceive(i);
      }
      received.calls++;
      const count = this.libc.recvmmsg(this.socket.fd, messages.address, free, MSG_DONTWAIT, 0);
      if (count < 0) {
        const errno = this.libc.errno();
        if (errno === Errno.EINTR) continue;
        if (errno === Errno.EAGAIN) break;
        if (errno === Errno.ENOMEM || errno === Errno.ENOBUFS) {
          received.errors++;
          break;
        }
        throw new SystemError('recvmmsg', errno, `${formatIpv4(this.dip)}:${this.port}`);
      }
      for (let i = 0; i < count; i++) this.append(batch, from + i, i);
      // A short answer means that the queue was empty a moment ago: asking again would only cost a call.
      if (count < free) break;
    }
    return batch.count - first;
  }

  /** Takes message `message`, whose payload lies in slot `slot`, as the batch's next packet. */
  private append(batch: PacketBatch, slot: number, message: number): void {
    const { messages, received } = this;
    if ((messages.flags(message) & MSG_TRUNC) !== 0) {
      received.errors++;
      return;
    }
    const index = batch.count;
    const length = messages.received(message);
    const payload = batch.payloadOffset(index);
    if (slot !== index) {
      // Rare: a truncated datagram before this one left its slot unused.
      const at = batch.payloadOffset(slot);
      batch.bytes.copyWithin(payload, at, at + length);
    }
    const offset = payload - OUTER_SIZE;
    const { dip, port } = this;
    writeOuter(
      batch.data,
      offset,
      OUTER_SIZE + length,
      messages.ipv4(message),
      messages.port(message),
      dip,
      port,
    );
    batch.append(offset, OUTER_SIZE + length);
    received.packets++;
    received.bytes += OUTER_SIZE + length;
  }

  /** Datagrams that the kernel dropped because the receive buffer was full, since the socket was opened. */
  kernelDrops(): number {
    return this.socket.kernelDrops();
  }

  close(): void {
    this.socket.close();
  }
}

/** The outer headers that the kernel kept, of a datagram of `length` bytes, they included. */
export function writeOuter(
  data: DataView,
  at: number,
  length: number,
  source: number,
  sourcePort: number,
  dip: number,
  port: number,
): void {
  encodeIpv4Into(data, at, length, IP_PROTOCOL_UDP, source, dip);
  encodeUdpInto(data, at + IPV4_HEADER, sourcePort, port, length - IPV4_HEADER);
}
