import { parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { setReceiveBuffer } from '../../src/io/socket.js';
import { BothPlanes, type Moved } from './both-planes.js';
import type { ListedSocket } from './socket-set.js';
import { pathConfig } from './workload.js';

/** One thread of workers-child.ts: opens its queues, and empties one each time it is told to. */

export interface WorkersInit {
  readonly dip: number;
  readonly planes: readonly { readonly tun: string; readonly port: number }[];
  readonly listed: readonly ListedSocket[];
  readonly library: string;
}

/** What the thread is told; null ends it. It answers with {@link Emptied}. */
export interface WorkerTurn {
  readonly side: 'native' | 'script';
  readonly tun: string;
  /** Where the threads of the turn meet before they begin: counts those that are here. */
  readonly meeting: Int32Array;
  readonly threads: number;
}

export interface Emptied extends Moved {
  /** Processor time of the thread, in seconds. */
  readonly processor: number;
}

/** Takes all packets of a turn: the kernel counts more than the bytes. */
const RECEIVE_BUFFER = 512 << 20;

const SETTLING_MS = 20;

function main(init: WorkersInit, port: NonNullable<typeof parentPort>): void {
  const { dip, listed, library } = init;
  const processorSeconds: () => number = koffi.load(library).func('double twin_thread_seconds()');
  const planes = new Map(
    init.planes.map(({ tun, port: guePort }) => {
      const config = { ...pathConfig(dip), port: guePort };
      const plane = new BothPlanes({ tun, multiQueue: true, batched: true, config, listed, library });
      setReceiveBuffer(plane.gue.fd, RECEIVE_BUFFER);
      return [tun, plane] as const;
    }),
  );
  port.on('message', (turn: WorkerTurn | null) => {
    if (turn === null) {
      for (const plane of planes.values()) plane.close();
      port.close();
      return;
    }
    const plane = planes.get(turn.tun);
    if (plane === undefined) throw new Error(`this thread has no queue of ${turn.tun}`);
    meet(turn);
    const before = processorSeconds();
    const moved = turn.side === 'native' ? plane.native(0) : plane.script(0);
    port.postMessage({ ...moved, processor: processorSeconds() - before } satisfies Emptied);
  });
  port.postMessage(null);
}

/**
 * Spins until all threads of the turn do, and until the scheduler has had the time to give each a processor of its own:
 * workers under load have that long since.
 */
function meet({ meeting, threads }: WorkerTurn): void {
  const settled = performance.now() + SETTLING_MS;
  Atomics.add(meeting, 0, 1);
  while (Atomics.load(meeting, 0) < threads || performance.now() < settled) {
    // Sleeping would give the processor away.
  }
}

if (parentPort === null) throw new Error('workers-thread.js is a worker thread, not a program');
main(workerData as WorkersInit, parentPort);
