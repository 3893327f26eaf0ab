import type { PacketSink, PacketSource } from '../io/port.js';
import { type BatchOptions, PacketBatch } from '../path/batch.js';
import type { Forwarder } from '../path/forwarder.js';
import type { Redirector } from '../path/redirector.js';
import type { SocketLookup } from '../path/sockets.js';
import { Action } from '../path/verdict.js';
import { Reading } from './reading.js';

export interface DataPlanePorts {
  /** Packets that the router sent to the VIPs. */
  readonly tun: PacketSource & PacketSink;
  /** GUE packets from other nodes, outer header first. */
  readonly gue: PacketSource;
  /** Towards other nodes. */
  readonly underlay: PacketSink;
}

/**
 * Moves packets through the path: TUN to forwarder, GUE to redirector, and what they decide to the underlay or back
 * into the TUN. Knows nothing of threads and messages; the worker and the benchmarks drive it.
 */
export class DataPlaneLoop {
  batches = 0;
  private readonly batch: PacketBatch;
  private readonly reading: Reading;

  constructor(
    private readonly ports: DataPlanePorts,
    private readonly forwarder: Forwarder,
    private readonly redirector: Redirector,
    private readonly sockets: SocketLookup,
    batch: BatchOptions = {},
    /** In milliseconds, above 0; never goes back. */
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.batch = new PacketBatch(batch);
    this.reading = new Reading(this.batch.capacity);
  }

  /**
   * Handles what has arrived, until both sources are empty or it is time to look up.
   * @param tun whether poll(2) says that there is something to read, @param gue likewise
   * @returns packets handled
   */
  drain(tun = true, gue = true): number {
    const { ports, reading } = this;
    reading.begin(tun || ports.tun.pending === true, gue || ports.gue.pending === true);
    for (let total = 0; ; ) {
      const fromTun = reading.tun ? this.step(0) : 0;
      const fromGue = reading.gue ? this.step(1) : 0;
      total += fromTun + fromGue;
      if (!reading.goesOn(fromTun, fromGue)) return total;
    }
  }

  /** Packets are here that poll(2) would not tell of. */
  get pending(): boolean {
    return this.ports.tun.pending === true || this.ports.gue.pending === true;
  }

  /** One batch of one stage. @param stage 0: TUN and forwarder, 1: GUE and redirector. @returns packets handled */
  private step(stage: 0 | 1): number {
    const { batch, ports } = this;
    batch.clear();
    const count = stage === 0 ? ports.tun.receive(batch) : ports.gue.receive(batch);
    if (count === 0) return 0;
    this.batches++;
    const now = this.clock();
    if (stage === 0) {
      this.forwarder.now = now;
      this.forwarder.process(batch);
      for (let copies = this.forwarder.nextCopies(batch); copies !== null; ) {
        ports.underlay.send(copies, Action.Send);
        copies = this.forwarder.nextCopies(batch);
      }
    } else {
      this.redirector.now = now;
      this.redirector.process(batch);
    }
    ports.tun.send(batch, Action.Deliver);
    ports.underlay.send(batch, Action.Send);
    // From here on the kernel knows the SYNs of this batch.
    this.sockets.delivered();
    return count;
  }
}
