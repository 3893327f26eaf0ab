import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { WakeEvent } from '../../src/io/poller.js';
import type { ToWorker } from '../../src/node/messages.js';
import { readTableFile, writeTableFile } from '../../src/table/table-file.js';
import type { Row } from './report.js';
import { spreadOf } from './stats.js';
import { BUCKETS, BYSTANDER, buildTable, pathConfig } from './workload.js';

/** How long does a data plane that runs flat out stand still when a new table is published? */

const MAX_PAUSE_MS = 5;
const ROUNDS = 5;
const TABLES_PER_ROUND = 10;
const WARM_UP_TABLES = 5;
/** At least this long between two tables, so that a round without tables takes about as long as one with. */
const INTERVAL_MS = 20;

export interface PublishInit {
  readonly path: ReturnType<typeof pathConfig>;
  readonly wakeFd: number;
  readonly gauges: SharedArrayBuffer;
}

/**
 * What the two threads share. `longest[phase]` is the longest pause between two batches seen in a phase, in
 * milliseconds by the wall clock, `longestOwn[phase]` the same by the thread's CPU clock, which stands still while
 * the machine runs something else; `words[0]` is the current phase, `words[1]` the last message taken, `words[2]` counts batches.
 */
export class Gauges {
  static readonly phases = 1 + 2 * ROUNDS;
  readonly longest: Float64Array;
  readonly longestOwn: Float64Array;
  readonly words: Int32Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(16 * Gauges.phases + 12)) {
    this.longest = new Float64Array(memory, 0, Gauges.phases);
    this.longestOwn = new Float64Array(memory, 8 * Gauges.phases, Gauges.phases);
    this.words = new Int32Array(memory, 16 * Gauges.phases, 3);
  }
}

export async function benchPublish(): Promise<Row[]> {
  const gauges = new Gauges();
  const wake = WakeEvent.create();
  const init: PublishInit = { path: pathConfig(BYSTANDER), wakeFd: wake.fd, gauges: gauges.memory };
  const worker = new Worker(new URL('./publish-worker.js', import.meta.url), { workerData: init });
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-tables-'));
  try {
    return await Promise.race([measure(worker, wake, gauges, directory), failed]);
  } finally {
    worker.postMessage({ type: 'stop', sequence: -1 } satisfies ToWorker);
    wake.signal();
    await exited;
    wake.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(worker: Worker, wake: WakeEvent, gauges: Gauges, directory: string): Promise<Row[]> {
  // Making and writing tables is the conductor's work; a node reads them, which checks them.
  const files = Array.from({ length: WARM_UP_TABLES + ROUNDS * TABLES_PER_ROUND }, (_, index) => {
    const file = join(directory, `${index}.table`);
    writeTableFile(file, buildTable('web', 2 + index, index));
    return file;
  });
  let sequence = 0;
  const publish = async () => {
    const table = readTableFile(files[sequence++]).shared();
    worker.postMessage({ type: 'table', sequence, index: 0, table } satisfies ToWorker);
    wake.signal();
    while (Atomics.load(gauges.words, 1) < sequence) await setTimeout(1);
  };
  // Phase 0 is the warm-up: the first tables meet code that is not compiled yet.
  while (Atomics.load(gauges.words, 2) < 50_000) await setTimeout(10);
  for (let i = 0; i < WARM_UP_TABLES; i++) await publish();

  for (let round = 0; round < ROUNDS; round++) {
    Atomics.store(gauges.words, 0, 1 + 2 * round);
    await setTimeout(TABLES_PER_ROUND * INTERVAL_MS);
    Atomics.store(gauges.words, 0, 2 + 2 * round);
    for (let i = 0; i < TABLES_PER_ROUND; i++) {
      await publish();
      await setTimeout(INTERVAL_MS);
    }
  }
  const pauses = (gauge: Float64Array, first: number) =>
    spreadOf(Array.from({ length: ROUNDS }, (_, round) => gauge[first + 2 * round]));
  const publishing = pauses(gauges.longestOwn, 2);
  return [
    {
      name: 'publish-table',
      unit: 'ms pause',
      js: publishing,
      bar: `longest < ${MAX_PAUSE_MS} ms`,
      pass: publishing.max < MAX_PAUSE_MS,
      notes: [
        `longest pause between two batches in each of ${ROUNDS} rounds of ${TABLES_PER_ROUND} tables with ${BUCKETS} ` +
          "buckets, by the thread's CPU clock: what publishing itself costs the data plane",
      ],
    },
    {
      name: 'publish-none',
      unit: 'ms pause',
      js: pauses(gauges.longestOwn, 1),
      notes: ['the same loop without tables'],
    },
    {
      name: 'publish-table, wall clock',
      unit: 'ms pause',
      js: pauses(gauges.longest, 2),
      notes: ['the same pauses with what other threads and machines took of the processor in between'],
    },
    {
      name: 'publish-none, wall clock',
      unit: 'ms pause',
      js: pauses(gauges.longest, 1),
    },
  ];
}
