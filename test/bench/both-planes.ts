import koffi from 'koffi';
import { Poller, WakeEvent } from '../../src/io/poller.js';
import { RawSender } from '../../src/io/raw.js';
import { Ring } from '../../src/io/ring.js';
import { RingTunPort } from '../../src/io/ring-tun.js';
import { TunPort } from '../../src/io/tun.js';
import { GueReceiver } from '../../src/io/udp.js';
import { DataPlaneLoop } from '../../src/node/data-plane-loop.js';
import { BATCH_CAPACITY, PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import { encodeBlob } from './blob.js';
import { ip, MTU } from './io-network.js';
import { type ListedSocket, SocketSet } from './socket-set.js';
import { Twin } from './twin.js';

export interface BothPlanesOptions {
  /** The device's name; it is made when it does not exist. */
  readonly tun: string;
  /** One of several queues of it. */
  readonly multiQueue?: boolean;
  /** Whether the TUN's packets come and go in batches, through an io_uring; else each with its own system call. */
  readonly batched: boolean;
  readonly config: PathConfig;
  /** Sockets that the lookup finds. */
  readonly listed: readonly ListedSocket[];
  /** The native twin's. */
  readonly library: string;
}

/** What one turn moved. */
export interface Moved {
  /** In seconds of the monotonic clock, which all threads share. */
  readonly start: number;
  readonly end: number;
  /** Packets sent to the underlay. */
  readonly sent: number;
  /** Packets written into the TUN. */
  readonly delivered: number;
}

/** The node's loop and its native twin, for one thread, on the same TUN queue, GUE socket and wake event. */
export class BothPlanes {
  readonly gue: GueReceiver;
  private readonly tun: TunPort | RingTunPort;
  private readonly underlay: RawSender;
  private readonly wake = WakeEvent.create();
  private readonly poller: Poller;
  private readonly loop: DataPlaneLoop;
  private readonly twin: Twin;
  private readonly nativeLoop: (...values: unknown[]) => number;
  private readonly slotSize: number;

  constructor(options: BothPlanesOptions) {
    const { config, listed, library, batched } = options;
    const device = { name: options.tun, mtu: MTU, multiQueue: options.multiQueue === true };
    this.tun = batched ? RingTunPort.open(device, Ring.open()) : TunPort.open(device);
    ip('link', 'set', options.tun, 'up');
    this.gue = GueReceiver.open({ dip: config.dip, port: config.port, reusePort: true });
    this.underlay = RawSender.open({ sourceDip: config.dip });
    this.poller = new Poller([this.tun.fd, this.gue.fd, this.wake.fd]);
    const state = new PathState(config);
    const counters = new PathCounters(state.trafficsets.length);
    const sockets = new SocketSet(listed);
    this.loop = new DataPlaneLoop(
      { tun: this.tun, gue: this.gue, underlay: this.underlay },
      new Forwarder(state, counters, sockets, BATCH_CAPACITY),
      new Redirector(state, counters, sockets, BATCH_CAPACITY),
      sockets,
      { maxPacket: MTU },
    );
    this.slotSize = new PacketBatch({ maxPacket: MTU }).slotSize;
    this.twin = new Twin(library, encodeBlob(config, listed));
    this.nativeLoop = koffi
      .load(library)
      .func(
        `int twin_loop${batched ? '_batched' : ''}(void *state, int tun, int gue, int wake, int slot_size, int max_packet, double duration, double *out)`,
      );
  }

  /** The native loop. @param milliseconds 0: until nothing waits any more */
  native(milliseconds: number): Moved {
    const out = new Float64Array(4);
    const { tun, gue, wake } = this;
    const state = this.twin.state();
    const duration = milliseconds / 1000;
    const failed = this.nativeLoop(state, tun.fd, gue.fd, wake.fd, this.slotSize, MTU, duration, out);
    if (failed !== 0) throw new Error(`the native loop could not open its ports: errno ${failed}`);
    const [start, end, sent, delivered] = out;
    return { start, end, sent, delivered };
  }

  /** The node's loop, as the worker runs it, without messages. @param milliseconds as for {@link native} */
  script(milliseconds: number): Moved {
    const { loop, poller, wake, tun, underlay } = this;
    const sent = underlay.sent.packets;
    const delivered = tun.sent.packets;
    const start = seconds();
    let end = start;
    if (milliseconds > 0) {
      while (end - start < milliseconds / 1000) {
        poller.wait(100);
        if (poller.ready(2)) wake.drain();
        loop.drain(poller.ready(0), poller.ready(1));
        end = seconds();
      }
    } else {
      while (poller.wait(0) > 0) {
        loop.drain(poller.ready(0), poller.ready(1));
        end = seconds();
      }
    }
    return { start, end, sent: underlay.sent.packets - sent, delivered: tun.sent.packets - delivered };
  }

  close(): void {
    this.twin.close();
    this.tun.close();
    this.gue.close();
    this.underlay.close();
    this.wake.close();
  }
}

function seconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
