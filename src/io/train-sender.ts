import type { PacketBatch } from '../path/batch.js';
import { LONGEST_TRAIN, Trains } from '../path/train.js';
import type { Action } from '../path/verdict.js';
import { fold, sumBytes } from '../wire/checksum.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { encodeVnetInto, VNET_GSO_UDP_L4, VNET_HEADER, VNET_NEEDS_CHECKSUM } from '../wire/virtio-net.js';
import { monotonicMilliseconds } from './clock.js';
import { openFrameSocket } from './frame-socket.js';
import { GatherVector } from './gather-vector.js';
import { ArenaAddress, type Libc, libc } from './libc.js';
import { NextHops } from './next-hops.js';
import type { PacketSink, PortCounters } from './port.js';
import { RawSender, type RawSenderOptions } from './raw.js';
import { Errno, type SystemError } from './system-error.js';

const ETHERNET = 14;
/** What is written in front of a train's first packet. */
const FRONT = VNET_HEADER + ETHERNET;
const IPV4 = 20;
const OUTER = 28;
const UDP = IP_PROTOCOL_UDP;
/** How long an answer of the kernel's tables counts; and how soon a "no" is asked again. */
const KNOWN_MS = 1000;
const UNKNOWN_MS = 100;

/** Where trains to one server go. */
interface Way {
  /** Packet socket of the interface, -1 while trains cannot go there. */
  fd: number;
  mtu: number;
  /** The frame's header: destination, source, type. */
  readonly frame: Uint8Array;
  askAt: number;
}

/**
 * Sends wrapped packets as trains: neighbours in a batch with one outer header (`path/train.ts`) leave by one system
 * call as one frame with `GSO_UDP_L4`, what `UDP_SEGMENT` is to a UDP socket, and are cut by the network card, or by the
 * kernel right before it; a veth hands them on whole. A packet socket and not a UDP socket, because the outer source port
 * is the flow's. What is no train, and what has no Ethernet neighbour that the kernel knows, leaves by a
 * {@link RawSender}, in the order of the batch.
 *
 * In a train the kernel writes two things that single packets have at 0: the outer IPv4 identification counts up
 * (meaningless with DF, RFC 6864), and there is a UDP checksum, because the kernel cuts no train without.
 */
export class TrainSender implements PacketSink {
  readonly sent: PortCounters;
  /** Trains sent; their packets are in `sent`. */
  trains = 0;
  private readonly libc: Libc = libc();
  private readonly raw: RawSender;
  private readonly arena = new ArenaAddress();
  private readonly train = new Trains();
  private readonly vector = new GatherVector(LONGEST_TRAIN);
  private readonly nextHops: NextHops;
  private readonly ways = new Map<number, Way>();
  /** By interface. */
  private readonly sockets = new Map<number, number>();

  private constructor(
    options: RawSenderOptions,
    private readonly clock: () => number,
  ) {
    // Whether there can be trains at all is known before the first packet.
    libc().close(openFrameSocket(0));
    this.nextHops = new NextHops();
    try {
      this.raw = RawSender.open(options);
    } catch (error) {
      this.nextHops.close();
      throw error;
    }
    this.sent = this.raw.sent;
  }

  /** Throws a {@link SystemError} where the kernel has no packet sockets with virtio headers. */
  static open(options: RawSenderOptions = {}, clock = monotonicMilliseconds): TrainSender {
    return new TrainSender(options, clock);
  }

  /** As `RawSender.tooBig`. */
  get tooBig(): number {
    return this.raw.tooBig;
  }

  send(batch: PacketBatch, action: Action): number {
    const { train, raw } = this;
    let taken = 0;
    for (let from = 0; ; ) {
      from = train.find(batch, action, from);
      const { count } = train;
      if (count === 0) break;
      const way = count === 1 ? null : this.wayOf(batch.nextHop[train.slots[0]] | 0);
      if (way === null || !hasRoom(batch, train.slots[0]) || batch.length[train.slots[0]] > way.mtu) {
        for (let k = 0; k < count; k++) taken += raw.queue(batch, train.slots[k]);
        continue;
      }
      // What came before goes first.
      taken += raw.flush();
      taken += this.sendTrain(batch, way);
    }
    return taken + raw.flush();
  }

  private sendTrain(batch: PacketBatch, way: Way): number {
    const { train, vector, sent } = this;
    const { slots, count } = train;
    const arena = this.arena.of(batch);
    const first = batch.offset[slots[0]];
    writeFront(batch, first, train.length, batch.length[slots[0]] - OUTER, way.frame);
    vector.clear();
    vector.add(arena + first - FRONT, FRONT + batch.length[slots[0]]);
    let bytes = batch.length[slots[0]];
    for (let k = 1; k < count; k++) {
      const length = batch.length[slots[k]];
      vector.add(arena + batch.offset[slots[k]] + OUTER, length - OUTER);
      bytes += length;
    }
    for (;;) {
      sent.calls++;
      if (this.libc.writev(way.fd, vector.address, count) >= 0) break;
      const errno = this.libc.errno();
      if (errno === Errno.EINTR) continue;
      sent.errors += count;
      // A full buffer or queue: packets are lost, as the network loses them. Anything else: the kernel is asked anew.
      if (errno !== Errno.EAGAIN && errno !== Errno.ENOBUFS) this.forget(way);
      return 0;
    }
    this.trains++;
    sent.packets += count;
    sent.bytes += bytes;
    return count;
  }

  /** @param address as int32. @returns null when trains cannot go there now */
  private wayOf(address: number): Way | null {
    const now = this.clock();
    let way = this.ways.get(address);
    if (way === undefined) {
      way = { fd: -1, mtu: 0, frame: new Uint8Array(ETHERNET), askAt: 0 };
      this.ways.set(address, way);
    }
    if (now >= way.askAt) this.ask(way, address >>> 0, now);
    return way.fd < 0 ? null : way;
  }

  private ask(way: Way, address: number, now: number): void {
    const hop = this.nextHops.find(address);
    way.fd = hop === null ? -1 : this.socketOf(hop.interfaceIndex);
    way.askAt = now + (way.fd < 0 ? UNKNOWN_MS : KNOWN_MS);
    if (hop === null) return;
    way.mtu = hop.mtu;
    way.frame.set(hop.destination, 0);
    way.frame.set(hop.source, 6);
    way.frame.set([0x08, 0x00], 12);
  }

  private socketOf(interfaceIndex: number): number {
    const open = this.sockets.get(interfaceIndex);
    if (open !== undefined) return open;
    try {
      const fd = openFrameSocket(interfaceIndex);
      this.sockets.set(interfaceIndex, fd);
      return fd;
    } catch (error) {
      // The interface may just be gone.
      if ((error as SystemError).errno === undefined) throw error;
      return -1;
    }
  }

  /** The interface went down or away: its socket is of no use, and the kernel is asked where to go now. */
  private forget(way: Way): void {
    for (const [interfaceIndex, fd] of this.sockets) {
      if (fd !== way.fd) continue;
      this.sockets.delete(interfaceIndex);
      this.libc.close(fd);
      for (const other of this.ways.values()) {
        if (other.fd === fd) {
          other.fd = -1;
          other.askAt = 0;
        }
      }
    }
  }

  close(): void {
    for (const fd of this.sockets.values()) this.libc.close(fd);
    this.sockets.clear();
    this.ways.clear();
    this.nextHops.close();
    this.raw.close();
  }
}

function hasRoom(batch: PacketBatch, slot: number): boolean {
  return batch.offset[slot] - slot * batch.slotSize >= FRONT;
}

/** The virtio and Ethernet headers in front of the first packet, whose outer headers become the whole train's. */
function writeFront(
  batch: PacketBatch,
  offset: number,
  total: number,
  segment: number,
  frame: Uint8Array,
): void {
  const { data, bytes } = batch;
  const start = ETHERNET + IPV4;
  const at = offset - FRONT;
  encodeVnetInto(data, at, VNET_NEEDS_CHECKSUM, VNET_GSO_UDP_L4, ETHERNET + OUTER, segment, start, 6);
  bytes.set(frame, offset - ETHERNET);
  data.setUint16(offset + 2, total);
  data.setUint16(offset + 10, 0);
  data.setUint16(offset + 10, ~fold(sumBytes(data, offset, IPV4)));
  const covered = total - IPV4;
  data.setUint16(offset + IPV4 + 4, covered);
  data.setUint16(offset + IPV4 + 6, fold(sumBytes(data, offset + 12, 8) + UDP + covered));
}
