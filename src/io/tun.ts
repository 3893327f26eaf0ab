import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { VNET_HEADER } from '../wire/virtio-net.js';
import { newCounters } from './counters.js';
import { ArenaAddress, check, type Libc, libc, NativeMemory, O_CLOEXEC, O_NONBLOCK, O_RDWR } from './libc.js';
import { IFREQ_UNION, ifreqName, interfaceMtu, newIfreq, setInterfaceMtu } from './net-device.js';
import type { PacketSink, PacketSource, PortCounters } from './port.js';
import { type Advice, Errno, NEEDS_NET_ADMIN, SystemError } from './system-error.js';
import { spreadByFlow } from './tun-spread.js';

/**
 * A layer-3 TUN device: what the kernel routes into it is read here, what is written here the kernel receives.
 * Source: Documentation/networking/tuntap.rst of the Linux kernel, include/uapi/linux/if_tun.h.
 */

const TUN_PATH = '/dev/net/tun';
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TUN = 0x0001;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_TSO_ECN = 0x08;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
/** Since Linux 6.2. */
const UDP_OFFLOADS = TUN_F_USO4 | TUN_F_USO6;

const NO_TUN_DRIVER =
  'The TUN driver is not there: modprobe tun; in a container also ' +
  'mkdir -p /dev/net && mknod /dev/net/tun c 10 200, and allow the device';

const OPEN_ADVICE: Advice = {
  ENOENT: NO_TUN_DRIVER,
  ENODEV: NO_TUN_DRIVER,
  ENXIO: NO_TUN_DRIVER,
  EACCES: `Reading and writing ${TUN_PATH} is not allowed: run as root, or chmod 0666 ${TUN_PATH}`,
  EPERM: `The container does not allow ${TUN_PATH} (device cgroup): allow c 10:200 rwm`,
};

const ATTACH_ADVICE: Advice = {
  EPERM: `${NEEDS_NET_ADMIN}; or let root create the device for this user (ip tuntap add ... user)`,
  EBUSY: 'Another process holds the device: is a node already running?',
  EINVAL:
    'A device of this name exists and is of another kind: not a TUN, or made with other flags (multi_queue). ' +
    'Remove it (ip link del) or choose another name',
  E2BIG: 'The device has no queue left',
};

export interface TunOptions {
  /** Device name, at most 15 characters. Created when it does not exist. */
  readonly name: string;
  /** One of several queues: each `open` with this flag adds one, and flows are spread over them (tun-spread.ts). */
  readonly multiQueue?: boolean;
  /** Whether the device outlives its last queue. Left as it is when not given. */
  readonly persistent?: boolean;
  /** Sets the device's MTU, in bytes. Left as it is when not given. */
  readonly mtu?: number;
}

/** A queue of a TUN device, just opened. */
export interface TunQueue {
  readonly fd: number;
  /** The device's name as the kernel has it. */
  readonly name: string;
  /** In bytes. */
  readonly mtu: number;
  /** What is handed over unfinished: nothing, TCP super-packets and checksums, or UDP's too. */
  readonly offload: 'none' | 'tcp' | 'tcp+udp';
  /** Of one of several queues: why the kernel spreads flows as it likes; empty where they are spread by our rule. */
  readonly spreadReason: string;
}

/**
 * Creates the device or attaches to it. Throws a {@link SystemError} with advice.
 * @param virtioHeaders every packet behind a virtio header, and as much offload as the kernel has
 */
export function openTunQueue(options: TunOptions, virtioHeaders: boolean): TunQueue {
  const request = newIfreq(options.name);
  const kind = virtioHeaders ? IFF_TUN | IFF_NO_PI | IFF_VNET_HDR : IFF_TUN | IFF_NO_PI;
  request.data.setUint16(IFREQ_UNION, options.multiQueue === true ? kind | IFF_MULTI_QUEUE : kind, true);
  const c = libc();
  const fd = check(c.open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC), 'open', TUN_PATH, OPEN_ADVICE);
  try {
    check(c.ioctl(fd, TUNSETIFF, request.address), 'TUNSETIFF', options.name, ATTACH_ADVICE);
    const name = ifreqName(request);
    const offload = virtioHeaders ? turnOffloadOn(fd, name) : 'none';
    // A persistent device keeps the offloads of its last owner; without virtio headers checksums have to be whole.
    if (!virtioHeaders) check(c.ioctl(fd, TUNSETOFFLOAD, 0), 'TUNSETOFFLOAD', name, ATTACH_ADVICE);
    if (options.persistent !== undefined) {
      check(c.ioctl(fd, TUNSETPERSIST, options.persistent ? 1 : 0), 'TUNSETPERSIST', name, ATTACH_ADVICE);
    }
    if (options.mtu !== undefined) setInterfaceMtu(name, options.mtu);
    const spreadReason = options.multiQueue === true ? spreadByFlow(fd) : '';
    return { fd, name, mtu: interfaceMtu(name), offload, spreadReason };
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

function turnOffloadOn(fd: number, name: string): 'tcp' | 'tcp+udp' {
  const size = new NativeMemory(4);
  size.data.setInt32(0, VNET_HEADER, true);
  check(libc().ioctl(fd, TUNSETVNETHDRSZ, size.address), 'TUNSETVNETHDRSZ', name);
  if (libc().ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOADS | UDP_OFFLOADS) === 0) return 'tcp+udp';
  check(libc().ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOADS), 'TUNSETOFFLOAD', name);
  return 'tcp';
}

/** After a read of a TUN that brought nothing: counts what is an error. @throws SystemError when the device is gone */
export function endReading(errno: number, received: PortCounters, name: string): void {
  if (errno === Errno.EAGAIN) return;
  if (errno !== Errno.ENOMEM && errno !== Errno.ENOBUFS) throw new SystemError('read', errno, name);
  received.errors++;
}

/** @throws RangeError when the batch's slots are smaller than the device's MTU */
export function checkSlots(tun: { readonly name: string; readonly mtu: number }, batch: PacketBatch): void {
  if (batch.maxPacket >= tun.mtu) return;
  throw new RangeError(
    `${tun.name} has an MTU of ${tun.mtu}, but the batch takes packets of up to ${batch.maxPacket} bytes`,
  );
}

export class TunPort implements PacketSource, PacketSink {
  /** The device's name as the kernel has it. */
  readonly name: string;
  /** MTU of the device when it was opened, in bytes. */
  readonly mtu: number;
  /** As in {@link TunQueue}. */
  readonly spreadReason: string;
  readonly received: PortCounters = newCounters();
  readonly sent: PortCounters = newCounters();
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly receiveArena = new ArenaAddress();
  private readonly sendArena = new ArenaAddress();

  private constructor(queue: TunQueue) {
    this.descriptor = queue.fd;
    this.name = queue.name;
    this.mtu = queue.mtu;
    this.spreadReason = queue.spreadReason;
  }

  /** Creates the device or attaches to it. Throws a {@link SystemError} with advice. */
  static open(options: TunOptions): TunPort {
    return new TunPort(openTunQueue(options, false));
  }

  get fd(): number {
    return this.descriptor;
  }

  /**
   * Reads one packet per system call, up to the free slots.
   * Throws a RangeError when the batch's slots are smaller than the MTU, a {@link SystemError} when the device is
   * gone.
   */
  receive(batch: PacketBatch): number {
    checkSlots(this, batch);
    const { libc, received } = this;
    const arena = this.receiveArena.of(batch);
    const first = batch.count;
    while (batch.count < batch.capacity) {
      const index = batch.count;
      const offset = batch.payloadOffset(index);
      received.calls++;
      const length = libc.read(this.descriptor, arena + offset, batch.maxPacket);
      if (length <= 0) {
        const errno = length === 0 ? Errno.EAGAIN : libc.errno();
        if (errno === Errno.EINTR) continue;
        endReading(errno, received, this.name);
        break;
      }
      batch.append(offset, length);
      received.packets++;
      received.bytes += length;
    }
    return batch.count - first;
  }

  /**
   * Hands packets to the kernel. When `send` returns, the kernel has received them: without RPS on the device a
   * SYN's socket exists by then. A refused packet (device down, no IP header) is counted as an error.
   */
  send(batch: PacketBatch, action: Action): number {
    const { libc, sent } = this;
    const arena = this.sendArena.of(batch);
    const count = batch.count;
    let taken = 0;
    for (let i = 0; i < count; i++) {
      if (batch.action[i] !== action) continue;
      const length = batch.length[i];
      sent.calls++;
      if (libc.write(this.descriptor, arena + batch.offset[i], length) === length) {
        taken++;
        sent.bytes += length;
      } else {
        sent.errors++;
        const errno = libc.errno();
        if (errno === Errno.EBADFD || errno === Errno.EBADF) throw new SystemError('write', errno, this.name);
      }
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
