import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Poller, WakeEvent } from '../io/poller.js';
import { CachedSockets } from '../io/socket-cache.js';
import { PathCounters } from '../path/counters.js';
import { Forwarder } from '../path/forwarder.js';
import { Redirector } from '../path/redirector.js';
import { PathState } from '../path/state.js';
import { ForwardingTable } from '../table/forwarding-table.js';
import { DataPlaneLoop } from './data-plane-loop.js';
import type { FromWorker, ToWorker, WorkerInit } from './messages.js';
import { openPorts } from './ports.js';
import { sleepFor } from './reading.js';
import { STATUS_INDEX, WorkerStatus } from './worker-status.js';

/**
 * A data-plane worker: one TUN queue, its own sockets, batches and counters. It sleeps in poll(2), is woken by
 * packets or by the main thread's eventfd, and takes messages only between batches, so that no packet ever sees two
 * tables. Anything unexpected is thrown: the node then goes down with it.
 */

function main(init: WorkerInit, port: NonNullable<typeof parentPort>): void {
  const { values } = new WorkerStatus(init.status);
  const post = (message: FromWorker) => port.postMessage(message);

  const { tun, gue, underlay, offload, batch } = openPorts(init, post);
  const sockets = CachedSockets.overKernel(init.sockets);
  const wake = new WakeEvent(init.wakeFd);
  const poller = new Poller([tun.fd, gue.fd, wake.fd]);

  let state = new PathState(init.path);
  const counters = new PathCounters(state.trafficsets.length, init.counters);
  const forwarder = new Forwarder(state, counters, sockets, batch.capacity);
  const redirector = new Redirector(state, counters, sockets, batch.capacity);
  const loop = new DataPlaneLoop({ tun, gue, underlay }, forwarder, redirector, sockets, batch);

  let running = true;
  const take = (message: ToWorker) => {
    if (message.type === 'table') {
      state.trafficsets[message.index].useTable(ForwardingTable.fromShared(message.table));
    } else if (message.type === 'sessions') {
      state.trafficsets[message.index].useSessions(message.sessions);
    } else if (message.type === 'vips') {
      state.useVips(message.vips);
    } else if (message.type === 'config') {
      state = new PathState(message.path);
      const fresh = new PathCounters(state.trafficsets.length, message.counters);
      forwarder.use(state, fresh);
      redirector.use(state, fresh);
    } else {
      running = false;
    }
    values[STATUS_INDEX.sequence] = message.sequence;
  };

  post({ type: 'ready', offload });
  while (running) {
    poller.wait(sleepFor(loop.pending));
    values[STATUS_INDEX.wakeups]++;
    if (poller.ready(2)) {
      wake.drain();
      for (let entry = receiveMessageOnPort(port); entry !== undefined; entry = receiveMessageOnPort(port)) {
        take(entry.message);
      }
      post({ type: 'taken', sequence: values[STATUS_INDEX.sequence] });
    }
    // The kernel's own drops cost a system call to read: asked for when there is time.
    if (loop.drain(poller.ready(0), poller.ready(1)) === 0)
      values[STATUS_INDEX.gueKernelDrops] = gue.kernelDrops();
    report();
  }
  tun.close();
  gue.close();
  underlay.close();
  sockets.close();

  function report(): void {
    values[STATUS_INDEX.batches] = loop.batches;
    values[STATUS_INDEX.tunReceivedPackets] = tun.received.packets;
    values[STATUS_INDEX.tunReceivedBytes] = tun.received.bytes;
    values[STATUS_INDEX.tunReceivedErrors] = tun.received.errors;
    values[STATUS_INDEX.tunSentPackets] = tun.sent.packets;
    values[STATUS_INDEX.tunSentBytes] = tun.sent.bytes;
    values[STATUS_INDEX.tunSentErrors] = tun.sent.errors;
    values[STATUS_INDEX.gueReceivedPackets] = gue.received.packets;
    values[STATUS_INDEX.gueReceivedBytes] = gue.received.bytes;
    values[STATUS_INDEX.gueReceivedErrors] = gue.received.errors;
    values[STATUS_INDEX.underlaySentPackets] = underlay.sent.packets;
    values[STATUS_INDEX.underlaySentBytes] = underlay.sent.bytes;
    values[STATUS_INDEX.underlaySentErrors] = underlay.sent.errors;
    values[STATUS_INDEX.underlayTooBig] = underlay.tooBig;
    values[STATUS_INDEX.lookupHits] = sockets.counters.hits;
    values[STATUS_INDEX.lookupMisses] = sockets.counters.misses;
    values[STATUS_INDEX.kernelLookups] = sockets.counters.kernelLookups;
  }
}

if (parentPort === null) throw new Error('node/worker.js is a worker thread, not a program');
main(workerData as WorkerInit, parentPort);
