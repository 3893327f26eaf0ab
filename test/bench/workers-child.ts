import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { widenInlining } from '../../src/node/engine.js';
import { ip, setUpUnderlay, writePackets } from './io-network.js';
import { buildPacket, type PacketFields, Random } from './packets.js';
import type { Row } from './report.js';
import { formatNumber } from './report-chart.js';
import { pair, spreadOf } from './stats.js';
import type { WorkersOptions } from './workers.js';
import type { Emptied, WorkersInit, WorkerTurn } from './workers-thread.js';
import { BYSTANDER, GUE_PORT, SERVERS, socketOf, webPacket, wrapFor } from './workload.js';

/**
 * Runs in namespaces made for it. The machine may have no core left for a generator while two workers run, so the
 * queues are filled first: deep queues take all packets of a turn, the generator ends, and what is measured is how
 * long it takes until the last packet has left. The threads are the node's: each with its own queue, sockets and
 * isolate, not pinned. For the native twin the same threads call the native loop.
 */

const MIN_RATIO = 1.6;
const FLOWS = 4096;
/** Turns that are the optimising compiler's. */
const WARM_UP = 3;

interface Case {
  readonly name: string;
  readonly direction: 'forward' | 'accept';
  readonly length: number;
}

const CASES: readonly Case[] = (['forward', 'accept'] as const).flatMap((direction) =>
  [64, 1400].map((length) => ({ name: `workers-${direction}-${length}`, direction, length })),
);

/** As many threads as queues: a device and a GUE port of their own. */
const PLANES = [
  { threads: 1, tun: 'lb1', port: GUE_PORT },
  { threads: 2, tun: 'lb2', port: GUE_PORT + 1 },
] as const;
type Plane = (typeof PLANES)[number];

async function main(options: WorkersOptions): Promise<void> {
  widenInlining();
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-workers-'));
  try {
    // What the kernel itself would send into the devices is not to be counted.
    execFileSync('sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
    setUpUnderlay();
    const rows: Row[] = [];
    for (const which of CASES) {
      const bench = await WorkersBench.open(which, options, directory);
      try {
        rows.push(await bench.row(options.rounds));
      } finally {
        await bench.close();
      }
    }
    process.stdout.write(JSON.stringify(rows));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Turn {
  /** Packets per second. */
  readonly rate: number;
  /** Seconds of processor time per packet, of all threads. */
  readonly processor: number;
}

/** A round's turns of one side: one thread, and two. */
interface Pair {
  readonly one: Turn;
  readonly two: Turn;
}

class WorkersBench {
  private constructor(
    private readonly which: Case,
    private readonly options: WorkersOptions,
    private readonly directory: string,
    private readonly threads: readonly Worker[],
  ) {}

  static async open(which: Case, options: WorkersOptions, directory: string): Promise<WorkersBench> {
    const random = new Random(29);
    const flows = Array.from({ length: FLOWS }, (): PacketFields => webPacket(random, 4, which.length));
    const forward = which.direction === 'forward';
    const dip = forward ? BYSTANDER : SERVERS[0];
    for (const { port } of PLANES) {
      const packets = flows.map((fields) => {
        const packet = buildPacket(fields);
        return forward ? packet : wrapFor(dip, packet, random, port);
      });
      writePackets(join(directory, `${port}`), packets);
    }
    const init: WorkersInit = {
      dip,
      planes: [],
      listed: forward ? [] : flows.map(socketOf),
      library: options.programs.library,
    };
    const threads: Worker[] = [];
    for (const index of [0, 1]) {
      const planes = PLANES.filter((plane) => plane.threads > index);
      const thread = new Worker(new URL('./workers-thread.js', import.meta.url), {
        workerData: { ...init, planes } satisfies WorkersInit,
      });
      threads.push(thread);
      await answerOf(thread);
    }
    for (const { tun } of PLANES) ip('link', 'set', tun, 'txqueuelen', String(options.packets));
    return new WorkersBench(which, options, directory, threads);
  }

  async row(rounds: number): Promise<Row> {
    const [one, two] = PLANES;
    const script: Pair[] = [];
    const native: Pair[] = [];
    for (let round = -WARM_UP; round < rounds; round++) {
      const pairOfTurns = { one: await this.turn('script', one), two: await this.turn('script', two) };
      if (round < 0) continue;
      script.push(pairOfTurns);
      native.push({ one: await this.turn('native', one), two: await this.turn('native', two) });
    }
    const scaling = (turns: readonly Pair[]) => turns.map((turn) => turn.two.rate / turn.one.rate);
    const paired = pair(scaling(native), scaling(script));
    return {
      name: this.which.name,
      unit: 'times',
      ...paired,
      bar: `median >= ${MIN_RATIO}`,
      pass: paired.js.median >= MIN_RATIO,
      notes: [`two workers on two queues against one: ${inWords(script)}; C loop: ${inWords(native)}`],
    };
  }

  /** Fills the plane's queues and lets its threads empty them. */
  private async turn(side: WorkerTurn['side'], plane: Plane): Promise<Turn> {
    const { programs, packets } = this.options;
    const forward = this.which.direction === 'forward';
    const file = join(this.directory, `${plane.port}`);
    const how = forward ? ['fill-tun', plane.tun, file] : ['fill-ip', file];
    execFileSync(programs.generator, [...how, String(packets)], { stdio: ['ignore', 'ignore', 'inherit'] });
    const threads = this.threads.slice(0, plane.threads);
    const answers = threads.map((thread) => answerOf<Emptied>(thread));
    const meeting = new Int32Array(new SharedArrayBuffer(4));
    for (const thread of threads) {
      thread.postMessage({ side, tun: plane.tun, meeting, threads: threads.length } satisfies WorkerTurn);
    }
    const moved = await Promise.all(answers);
    const count = moved.reduce((sum, { sent, delivered }) => sum + (forward ? sent : delivered), 0);
    if (count !== packets) {
      throw new Error(
        `${this.which.name}: ${count} of ${packets} packets came through (${side}, ${plane.tun})`,
      );
    }
    const start = Math.min(...moved.map((thread) => thread.start));
    const end = Math.max(...moved.map((thread) => thread.end));
    const processor = moved.reduce((sum, thread) => sum + thread.processor, 0);
    return { rate: packets / (end - start), processor: processor / packets };
  }

  async close(): Promise<void> {
    for (const thread of this.threads) {
      const ended = once(thread, 'exit');
      thread.postMessage(null);
      await ended;
    }
  }
}

function inWords(turns: readonly Pair[]): string {
  const median = (value: (turn: Pair) => number) => formatNumber(spreadOf(turns.map(value)).median);
  const kpps = `${median(({ one }) => one.rate / 1000)} and ${median(({ two }) => two.rate / 1000)} kpps`;
  const dearer = median(({ one, two }) => two.processor / one.processor);
  return `${kpps}, ${dearer} times the processor time per packet`;
}

async function answerOf<Answer>(thread: Worker): Promise<Answer> {
  const [answer] = await once(thread, 'message');
  return answer;
}

await main(JSON.parse(process.argv[2]) as WorkersOptions);
