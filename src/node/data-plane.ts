import { Worker } from 'node:worker_threads';
import { WakeEvent } from '../io/poller.js';
import type { PacketSink } from '../io/port.js';
import { RawSocketPackageSender } from '../io/raw-socket-package.js';
import { CachedSockets, type SharedSocketState } from '../io/socket-cache.js';
import { PacketBatch } from '../path/batch.js';
import { PathCounters } from '../path/counters.js';
import type { SharedSessions } from '../path/session-set.js';
import type { PathConfig } from '../path/state.js';
import { Action, Verdict } from '../path/verdict.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import type { SharedVips } from '../table/vip-matcher.js';
import type { FromWorker, ToWorker, WorkerInit } from './messages.js';
import type { OffloadFound } from './ports.js';
import { sumOf, WorkerStatus } from './worker-status.js';

/** Entries of the socket cache; a miss costs a system call, nothing else. */
const SOCKET_CACHE_ENTRIES = 65_536;

export interface DataPlaneOptions {
  readonly workers: number;
  readonly tun: string;
  /** Whether the TUN is to be read and written many packets at a time, where the kernel can. */
  readonly tunBatch: 'auto' | 'off';
  readonly maxPacket: number;
  readonly sender: 'mmsg' | 'raw-socket';
  /** Whether super-packets and trains are to be used where the kernel has them. */
  readonly offload: 'auto' | 'off';
  /** A worker died: the node must not limp on. */
  onFailure(error: Error): void;
  /** A worker has taken what it was told: {@link DataPlane.taken} may have grown. */
  onTaken?(): void;
}

/** Packets a port has moved, or has lost. */
export interface PortTotals {
  readonly packets: number;
  readonly bytes: number;
  readonly errors: number;
  /** Among the errors: larger than the interface's MTU. */
  readonly tooBig: number;
}

interface WorkerHandle {
  readonly thread: Worker;
  readonly status: WorkerStatus;
  counters: PathCounters;
  readonly wake: WakeEvent;
  readonly ended: Promise<void>;
}

type Distribute<T> = T extends unknown ? Omit<T, 'sequence'> : never;

/** The main thread's handle on the data-plane workers: starts and stops them, hands tables over, reads counters. */
export class DataPlane {
  private readonly handles: WorkerHandle[] = [];
  private sequence = 0;
  private stopping = false;
  private mainSender: PacketSink | null = null;
  private mainBatch: PacketBatch | null = null;
  private found: OffloadFound = {
    offload: 'off',
    reason: '',
    tunCalls: 'single',
    tunCallsReason: '',
    tunQueuesReason: '',
  };

  private constructor(
    private path: PathConfig,
    private readonly options: DataPlaneOptions,
  ) {}

  /** Starts the workers; resolves when every one has its TUN queue and sockets. */
  static async start(path: PathConfig, options: DataPlaneOptions): Promise<DataPlane> {
    const plane = new DataPlane(path, options);
    if (options.sender === 'raw-socket') {
      plane.mainSender = RawSocketPackageSender.open();
      plane.mainBatch = new PacketBatch({ capacity: 1, maxPacket: path.underlayMtu });
    }
    const sockets = CachedSockets.sharedState(SOCKET_CACHE_ENTRIES);
    try {
      // One after the other: the first makes the device, the others add their queues.
      for (let index = 0; index < options.workers; index++) await plane.startWorker(index, sockets);
    } catch (error) {
      await plane.stop();
      throw error;
    }
    return plane;
  }

  private startWorker(index: number, sockets: SharedSocketState): Promise<void> {
    const status = new WorkerStatus();
    const counters = new PathCounters(this.path.trafficsets.length);
    const wake = WakeEvent.create();
    const init: WorkerInit = {
      tun: this.options.tun,
      tunBatch: this.options.tunBatch,
      maxPacket: this.options.maxPacket,
      path: this.path,
      counters: counters.memory,
      status: status.memory,
      wakeFd: wake.fd,
      sockets,
      sender: this.options.sender,
      // The device has one setting for all queues: the first worker finds it out, and the others do the same.
      offload: index > 0 && this.found.offload === 'off' ? 'off' : this.options.offload,
    };
    const thread = new Worker(new URL('./worker.js', import.meta.url), { workerData: init });
    let ready = false;
    const started = new Promise<void>((resolve, reject) => {
      thread.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          ready = true;
          if (index === 0) this.found = message.offload;
          resolve();
        } else if (message.type === 'taken') {
          this.options.onTaken?.();
        } else {
          this.sendFromMain(message.bytes, message.nextHop);
        }
      });
      thread.on('error', (error: Error) => {
        if (!ready) reject(error);
        else if (!this.stopping)
          this.options.onFailure(new Error(`data-plane worker ${index} died: ${error.stack}`));
      });
    });
    const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    this.handles.push({ thread, status, counters, wake, ended });
    return started;
  }

  /** What the workers' ports carry at once. */
  get offload(): OffloadFound {
    return this.found;
  }

  /** Hands a new table to every worker; each takes it between two batches. */
  publishTable(index: number, table: ForwardingTable): number {
    const trafficsets = this.path.trafficsets.map((trafficset, at) =>
      at === index ? { ...trafficset, table: table.shared() } : trafficset,
    );
    this.path = { ...this.path, trafficsets };
    return this.tell(() => ({ type: 'table', index, table: table.shared() }));
  }

  /** Hands a new set of sessions to every worker. */
  publishSessions(index: number, sessions: SharedSessions): number {
    const trafficsets = this.path.trafficsets.map((trafficset, at) =>
      at === index ? { ...trafficset, sessions } : trafficset,
    );
    this.path = { ...this.path, trafficsets };
    return this.tell(() => ({ type: 'sessions', index, sessions }));
  }

  /** Hands new VIPs of the same trafficsets to every worker. */
  publishVips(vips: SharedVips): number {
    this.path = { ...this.path, vips };
    return this.tell(() => ({ type: 'vips', vips }));
  }

  /**
   * Replaces everything packets are judged by.
   * @returns the message's number, and the counters of before, to be added to what comes
   */
  publishConfig(path: PathConfig): { sequence: number; retired: PathCounters[] } {
    this.path = path;
    const retired = this.handles.map((handle) => handle.counters);
    const sequence = this.tell((handle) => {
      handle.counters = new PathCounters(path.trafficsets.length);
      return { type: 'config', path, counters: handle.counters.memory };
    });
    return { sequence, retired };
  }

  private tell(message: (handle: WorkerHandle) => Distribute<ToWorker>): number {
    this.sequence++;
    for (const handle of this.handles) {
      handle.thread.postMessage({ ...message(handle), sequence: this.sequence });
      handle.wake.signal();
    }
    return this.sequence;
  }

  /** The last message that every worker has taken. */
  get taken(): number {
    return Math.min(...this.handles.map((handle) => handle.status.get('sequence')));
  }

  get counters(): PathCounters[] {
    return this.handles.map((handle) => handle.counters);
  }

  /** What was sent to other nodes, whoever sent it. */
  get underlaySent(): PortTotals {
    if (this.mainSender !== null) return { ...this.mainSender.sent, tooBig: 0 };
    const { status } = this;
    return {
      packets: sumOf(status, 'underlaySentPackets'),
      bytes: sumOf(status, 'underlaySentBytes'),
      errors: sumOf(status, 'underlaySentErrors'),
      tooBig: sumOf(status, 'underlayTooBig'),
    };
  }

  get status(): WorkerStatus[] {
    return this.handles.map((handle) => handle.status);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.tell(() => ({ type: 'stop' }));
    await Promise.all(this.handles.map((handle) => handle.ended));
    for (const handle of this.handles.splice(0)) handle.wake.close();
    this.mainSender?.close();
    this.mainSender = null;
  }

  private sendFromMain(bytes: Uint8Array, nextHop: number): void {
    const batch = this.mainBatch;
    if (batch === null || this.mainSender === null) return;
    batch.clear();
    if (!batch.push(bytes)) return;
    batch.verdict[0] = Verdict.Forward;
    batch.action[0] = Action.Send;
    batch.nextHop[0] = nextHop;
    this.mainSender.send(batch, Action.Send);
  }
}
