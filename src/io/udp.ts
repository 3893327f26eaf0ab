import { BATCH_CAPACITY, type PacketBatch } from '../path/batch.js';
import { formatIpv4 } from '../wire/address.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { encodeIpv4Into, IPV4_HEADER } from '../wire/ipv4.js';
import { encodeUdpInto, UDP_HEADER } from '../wire/udp.js';
import { newCounters } from './counters.js';
import {
  AF_INET,
  ArenaAddress,
  check,
  type Libc,
  libc,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NativeMemory,
  SO_MEMINFO,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './libc.js';
import { MessageVector } from './message-vector.js';
import type { PacketSource, PortCounters } from './port.js';
import { bindIpv4, setOption, setReceiveBuffer } from './socket.js';
import { Errno, SystemError } from './system-error.js';

const RECEIVE_BUFFER = 8 << 20;
/** Outer IPv4 and UDP headers. */
const OUTER_SIZE = IPV4_HEADER + UDP_HEADER;
/** `SO_MEMINFO` fills nine 32-bit counters; the last is the packets dropped at a full receive buffer. */
const MEMINFO_SIZE = 36;
const MEMINFO_DROPS = 32;

export interface GueReceiverOptions {
  /** Own DIP as a number (host order). */
  readonly dip: number;
  readonly port: number;
  /** Several sockets on the same port, one per worker; the kernel spreads flows over them. */
  readonly reusePort?: boolean;
}

/**
 * Receives GUE datagrams, 64 per recvmmsg(2), straight into the batch's slots.
 *
 * The kernel keeps the outer headers to itself, and the redirector wants them (to check, and to send the packet on
 * with nothing but the addresses changed). So they are written anew in front of each payload, as this load
 * balancer's own forwarder would have: TOS 0, id 0, DF, TTL 64, UDP checksum 0.
 */
export class GueReceiver implements PacketSource {
  readonly received: PortCounters = newCounters();
  private descriptor: number;
  private readonly dip: number;
  private readonly port: number;
  private readonly libc: Libc = libc();
  private readonly arena = new ArenaAddress();
  private readonly messages = new MessageVector(BATCH_CAPACITY);
  private readonly meminfo = new NativeMemory(MEMINFO_SIZE + 4);

  private constructor(descriptor: number, options: GueReceiverOptions) {
    this.descriptor = descriptor;
    this.dip = options.dip;
    this.port = options.port;
  }

  /** Binds the socket. Throws a {@link SystemError} with advice. */
  static open(options: GueReceiverOptions): GueReceiver {
    const c = libc();
    const fd = check(
      c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      'socket',
      'AF_INET SOCK_DGRAM',
    );
    try {
      if (options.reusePort === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      setReceiveBuffer(fd, RECEIVE_BUFFER);
      bindIpv4(fd, options.dip, options.port);
      return new GueReceiver(fd, options);
    } catch (error) {
      c.close(fd);
      throw error;
    }
  }

  get fd(): number {
    return this.descriptor;
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
      const count = this.libc.recvmmsg(this.descriptor, messages.address, free, MSG_DONTWAIT, 0);
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
    this.writeOuter(batch.data, offset, OUTER_SIZE + length, message);
    batch.offset[index] = offset;
    batch.length[index] = OUTER_SIZE + length;
    batch.verdict[index] = 0;
    batch.action[index] = 0;
    batch.nextHop[index] = 0;
    batch.count = index + 1;
    received.packets++;
    received.bytes += OUTER_SIZE + length;
  }

  private writeOuter(data: DataView, at: number, length: number, message: number): void {
    const { messages } = this;
    encodeIpv4Into(data, at, length, IP_PROTOCOL_UDP, messages.ipv4(message), this.dip);
    encodeUdpInto(data, at + IPV4_HEADER, messages.port(message), this.port, length - IPV4_HEADER);
  }

  /** Datagrams that the kernel dropped because the receive buffer was full, since the socket was opened. */
  kernelDrops(): number {
    const { data, address } = this.meminfo;
    data.setUint32(MEMINFO_SIZE, MEMINFO_SIZE, true);
    check(
      this.libc.getsockopt(this.descriptor, SOL_SOCKET, SO_MEMINFO, address, address + MEMINFO_SIZE),
      'getsockopt',
      'SO_MEMINFO',
    );
    return data.getUint32(MEMINFO_DROPS, true);
  }

  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
