import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { newCounters } from '../../src/io/counters.js';
import { Poller, WakeEvent } from '../../src/io/poller.js';
import type { PacketSink, PacketSource } from '../../src/io/port.js';
import { DataPlaneLoop } from '../../src/node/data-plane-loop.js';
import type { ToWorker } from '../../src/node/messages.js';
import { BATCH_CAPACITY, type PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { PathState } from '../../src/path/state.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { buildPacket, Random } from './packets.js';
import { Gauges, type PublishInit } from './publish.js';
import { SocketSet } from './socket-set.js';
import { webPacket } from './workload.js';

/** The data plane of `publish.ts`: src/node/worker.ts with packets from memory, so that it never has to wait. */

const LENGTH = 64;
const OVERHEAD = 40;

/** `struct timespec` of clock_gettime(2): seconds and nanoseconds. */
const timespec = new BigInt64Array(2);
const CLOCK_THREAD_CPUTIME_ID = 3;
const clockGettime = koffi.load('libc.so.6').func('clock_gettime', 'int', ['int', 'void *']);

/** Processor time that this thread has used. */
function threadMilliseconds(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, timespec);
  return Number(timespec[0]) * 1e3 + Number(timespec[1]) / 1e6;
}

/** Fills every batch with the same packets, and measures the time since it was last asked to. */
class EndlessSource implements PacketSource, PacketSink {
  readonly fd = -1;
  readonly received = newCounters();
  readonly sent = newCounters();
  private readonly packets: readonly Uint8Array[];
  private last = performance.now();
  private lastOwn = threadMilliseconds();

  constructor(private readonly gauges: Gauges) {
    const random = new Random(3);
    this.packets = Array.from({ length: BATCH_CAPACITY }, () => buildPacket(webPacket(random, 4, LENGTH)));
  }

  receive(batch: PacketBatch): number {
    const { longest, longestOwn, words } = this.gauges;
    const phase = Atomics.load(words, 0);
    const now = performance.now();
    if (now - this.last > longest[phase]) longest[phase] = now - this.last;
    this.last = now;
    const own = threadMilliseconds();
    if (own - this.lastOwn > longestOwn[phase]) longestOwn[phase] = own - this.lastOwn;
    this.lastOwn = own;
    words[2]++;
    for (let i = 0; i < this.packets.length; i++) batch.push(this.packets[i]);
    return batch.count;
  }

  send(): number {
    return 0;
  }

  close(): void {}
}

const noSource: PacketSource = { fd: -1, received: newCounters(), receive: () => 0, close: () => {} };

function main(init: PublishInit, port: NonNullable<typeof parentPort>): void {
  const gauges = new Gauges(init.gauges);
  const wake = new WakeEvent(init.wakeFd);
  const poller = new Poller([wake.fd]);
  const state = new PathState(init.path);
  const counters = new PathCounters(state.trafficsets.length);
  const sockets = new SocketSet([]);
  const forwarder = new Forwarder(state, counters, sockets, BATCH_CAPACITY);
  const redirector = new Redirector(state, counters, sockets, BATCH_CAPACITY);
  const source = new EndlessSource(gauges);
  const ports = { tun: source, gue: noSource, underlay: source };
  const loop = new DataPlaneLoop(ports, forwarder, redirector, sockets, { maxPacket: LENGTH + OVERHEAD });
  for (let running = true; running; ) {
    poller.wait(0);
    if (poller.ready(0)) {
      wake.drain();
      for (let entry = receiveMessageOnPort(port); entry !== undefined; entry = receiveMessageOnPort(port)) {
        const message: ToWorker = entry.message;
        if (message.type === 'table') {
          state.trafficsets[message.index].useTable(ForwardingTable.fromShared(message.table));
        } else {
          running = false;
        }
        Atomics.store(gauges.words, 1, message.sequence);
      }
    }
    loop.drain();
  }
}

if (parentPort === null) throw new Error('publish-worker.js is a worker thread, not a program');
main(workerData as PublishInit, parentPort);
