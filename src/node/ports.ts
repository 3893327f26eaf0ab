import type { PacketSink, PacketSource } from '../io/port.js';
import { RawSender } from '../io/raw.js';
import { Ring } from '../io/ring.js';
import { RingTunPort } from '../io/ring-tun.js';
import { SuperTunPort } from '../io/super-tun.js';
import { SystemError } from '../io/system-error.js';
import { OFFLOAD_EXTRA, TrainReceiver } from '../io/train-receiver.js';
import { TrainSender } from '../io/train-sender.js';
import { type TunOptions, TunPort } from '../io/tun.js';
import { GueReceiver } from '../io/udp.js';
import { BATCH_CAPACITY, type BatchOptions } from '../path/batch.js';
import type { FromWorker, WorkerInit } from './messages.js';
import { RemoteSender } from './remote-sender.js';

/** What a data plane found out about offload at its start. */
export interface OffloadFound {
  /** What comes and goes in super-packets and trains: nothing, TCP, or TCP and UDP. */
  readonly offload: 'off' | 'tcp' | 'tcp+udp';
  /** Why not more, in words; empty where nothing is missing. */
  readonly reason: string;
  /** Packets (with offload: super-packets, too) per system call on the TUN: many, through io_uring, or one. */
  readonly tunCalls: 'batched' | 'single';
  /** Why single, in words; empty where nothing is missing. */
  readonly tunCallsReason: string;
  /** Why the kernel may move a flow from one worker to another, in words; empty where it has one worker for good. */
  readonly tunQueuesReason: string;
}

export interface OpenPorts {
  readonly tun: PacketSource & PacketSink;
  readonly gue: PacketSource & { kernelDrops(): number };
  /** `tooBig`: packets larger than the interface's MTU, among the errors. */
  readonly underlay: PacketSink & { readonly tooBig: number };
  readonly offload: OffloadFound;
  /** The batch that these ports need. */
  readonly batch: BatchOptions & { readonly capacity: number };
}

/** With offload a system call brings up to 45 packets of 1500 bytes: two or three super-packets to a batch. */
const OFFLOAD_CAPACITY = 2 * BATCH_CAPACITY;

type PortInit = Pick<WorkerInit, 'tun' | 'tunBatch' | 'maxPacket' | 'path' | 'sender' | 'offload'>;

/**
 * Opens a worker's ports: with super-packets and trains where the kernel has all of them and nobody said no, one
 * packet at a time otherwise. Throws a {@link SystemError} when neither can be opened.
 */
export function openPorts(init: PortInit, post: (message: FromWorker) => void): OpenPorts {
  if (init.offload === 'off') return openPlain(init, post, '');
  if (init.sender !== 'mmsg') return openPlain(init, post, `sender: ${init.sender} sends single packets`);
  try {
    return openOffload(init);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    // What is wrong with more than the offload is wrong with plain ports too, and they say so.
    return openPlain(init, post, error.message);
  }
}

function openOffload(init: PortInit): OpenPorts {
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(port: T): T => {
    opened.push(port);
    return port;
  };
  try {
    // The device last: it is the only one that others see.
    const gue = keep(TrainReceiver.open({ dip: init.path.dip, port: init.path.port, reusePort: true }));
    const underlay = keep(TrainSender.open({ sourceDip: init.path.dip }));
    const { ring, ...calls } = openRing(init);
    if (ring !== null) keep(ring);
    const tun = keep(SuperTunPort.open(tunOptions(init), ring));
    return {
      tun,
      gue,
      underlay,
      offload: {
        offload: tun.offload === 'tcp+udp' ? 'tcp+udp' : 'tcp',
        reason:
          tun.offload === 'tcp+udp'
            ? ''
            : 'this kernel has no UDP segmentation on TUN devices (Linux 6.2 has)',
        ...calls,
        tunQueuesReason: tun.spreadReason,
      },
      batch: { capacity: OFFLOAD_CAPACITY, maxPacket: largestPacket(init), extra: OFFLOAD_EXTRA },
    };
  } catch (error) {
    for (const port of opened.reverse()) port.close();
    throw error;
  }
}

function openPlain(init: PortInit, post: (message: FromWorker) => void, reason: string): OpenPorts {
  const { tun, ...calls } = openTun(init);
  const gue = GueReceiver.open({ dip: init.path.dip, port: init.path.port, reusePort: true });
  const underlay =
    init.sender === 'mmsg' ? RawSender.open({ sourceDip: init.path.dip }) : new RemoteSender(post);
  return {
    tun,
    gue,
    underlay,
    offload: { offload: 'off', reason, ...calls, tunQueuesReason: tun.spreadReason },
    batch: { capacity: BATCH_CAPACITY, maxPacket: largestPacket(init) },
  };
}

type TunCalls = Pick<OffloadFound, 'tunCalls' | 'tunCallsReason'>;

/** Many packets per system call where the kernel can and nobody said no. */
function openTun(init: PortInit): { readonly tun: RingTunPort | TunPort } & TunCalls {
  const { ring, ...calls } = openRing(init);
  const options = tunOptions(init);
  if (ring === null) return { tun: TunPort.open(options), ...calls };
  try {
    return { tun: RingTunPort.open(options, ring), ...calls };
  } catch (error) {
    ring.close();
    throw error;
  }
}

function openRing(init: PortInit): { readonly ring: Ring | null } & TunCalls {
  if (init.tunBatch === 'off') return { ring: null, tunCalls: 'single', tunCallsReason: '' };
  try {
    return { ring: Ring.open(), tunCalls: 'batched', tunCallsReason: '' };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { ring: null, tunCalls: 'single', tunCallsReason: error.message };
  }
}

function tunOptions(init: PortInit): TunOptions {
  return { name: init.tun, multiQueue: true, mtu: init.maxPacket };
}

function largestPacket(init: PortInit): number {
  return Math.max(init.maxPacket, init.path.underlayMtu);
}
