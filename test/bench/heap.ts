import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { BATCH_CAPACITY } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { PathState } from '../../src/path/state.js';
import { buildPacket, Random } from './packets.js';
import type { Row } from './report.js';
import { PreparedBatch } from './script-path.js';
import { SocketSet } from './socket-set.js';
import { spreadOf } from './stats.js';
import { pathConfig, SERVERS, socketOf, webPacket, wrapFor } from './workload.js';

/** Does the hot path allocate? The heap before and after ten million packets, without a collection in between. */

const FEW = 1_000_000;
const MANY = 10_000_000;
const DRY_RUNS = 3;
const LENGTH = 64;
const OVERHEAD = 40;

interface Growth {
  readonly bytes: number;
  readonly collections: number;
}

/**
 * Reading the heap's size allocates a little itself, so no packets, a million and ten million are measured the same
 * way: what the path allocates would grow with the packets, and in every repeat; what the measurement allocates does
 * not, and what the compiler allocates comes once.
 */
export async function benchHeap(repeats: number): Promise<Row> {
  const path = new BothStages();
  // Until path and measurement are compiled for good: compiled code and its feedback live on the heap as well.
  path.run(FEW);
  for (let i = 0; i < DRY_RUNS; i++) await growthOf(() => path.run(FEW));
  const noise = await steadyReading();

  const few: Growth[] = [];
  const many: Growth[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    few.push(await growthOf(() => path.run(FEW)));
    many.push(await growthOf(() => path.run(MANY)));
  }
  const net = spreadOf(many.map(({ bytes }) => bytes - noise));
  const collections = many.reduce((sum, growth) => sum + growth.collections, 0);
  const list = (growths: readonly Growth[]) => growths.map(({ bytes }) => bytes).join(', ');
  return {
    name: 'heap-growth',
    unit: 'bytes',
    js: net,
    bar: '0 bytes over 10 million packets',
    pass: net.min <= 0 && collections === 0,
    notes: [
      `${MANY} packets, half through each stage; heap grew by ${list(many)} bytes, by ${list(few)} over ${FEW} and by ` +
        `${noise} over none, which is the reading itself; ${collections} collections in between`,
    ],
  };
}

/** What reading the heap allocates, once it is the same twice: compilations in the background have ended by then. */
async function steadyReading(): Promise<number> {
  let last = -1;
  for (let attempt = 0; attempt < 50; attempt++) {
    const { bytes } = await growthOf(() => {});
    if (bytes === last) break;
    last = bytes;
  }
  return last;
}

/** @param work runs between two readings of the heap, right after a full collection */
async function growthOf(work: () => void): Promise<Growth> {
  if (globalThis.gc === undefined) throw new Error('the heap benchmark needs node --expose-gc');
  const collections: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) collections.push(startTime);
  });
  observer.observe({ entryTypes: ['gc'] });
  globalThis.gc();
  const start = performance.now();
  const before = getHeapStatistics().used_heap_size;
  work();
  const after = getHeapStatistics().used_heap_size;
  await reported();
  observer.disconnect();
  return { bytes: after - before, collections: collections.filter((time) => time > start).length };
}

/** Collections are reported some turns of the event loop after they happened. */
async function reported(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

/** A forwarder and a redirector of one node, each with a batch of ordinary packets of every outcome. */
class BothStages {
  private readonly forwarder: Forwarder;
  private readonly redirector: Redirector;
  private readonly forward: PreparedBatch;
  private readonly redirect: PreparedBatch;

  constructor() {
    const dip = SERVERS[0];
    const random = new Random(11);
    // Sequence numbers beyond 2^31 among them: where a number is boxed, it would show.
    const flows = Array.from({ length: BATCH_CAPACITY }, (_, index) =>
      webPacket(random, index % 2 === 0 ? 4 : 6, LENGTH, index % 8 === 0 ? 0x02 : 0x10),
    );
    const sockets = new SocketSet(flows.filter((_, index) => index % 3 === 0).map(socketOf));
    const packets = flows.map(buildPacket);
    const state = new PathState(pathConfig(dip));
    const counters = new PathCounters(state.trafficsets.length);
    this.forwarder = new Forwarder(state, counters, sockets, BATCH_CAPACITY);
    this.redirector = new Redirector(state, counters, sockets, BATCH_CAPACITY);
    this.forward = new PreparedBatch(packets, LENGTH + OVERHEAD);
    this.redirect = new PreparedBatch(
      packets.map((packet) => wrapFor(dip, packet, random)),
      LENGTH + OVERHEAD,
    );
  }

  /** Sends `count` packets, half of them through each stage. */
  run(count: number): void {
    for (let packets = 0; packets < count; packets += 2 * BATCH_CAPACITY) {
      this.forward.restore();
      this.forwarder.process(this.forward.batch);
      this.redirect.restore();
      this.redirector.process(this.redirect.batch);
    }
  }
}
