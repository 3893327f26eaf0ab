import { READ_CASES, runCapture, WRITE_CASES } from './captures.js';
import { benchConnections, missingForConnections } from './connections.js';
import { DISSECTOR_CASES, runDissector } from './dissectors.js';
import { benchDistribution, missingForDistribution } from './distribution.js';
import { benchHash } from './hash.js';
import { benchHeap } from './heap.js';
import { benchIo, missingForIo } from './io.js';
import { benchLatency } from './latency.js';
import { MEMORY_CASES, runMemory } from './memory.js';
import { benchPace } from './pace.js';
import { benchLargePlan, benchPlan } from './plan.js';
import { benchPublish } from './publish.js';
import { benchReplay, benchReplayMemory } from './replay.js';
import type { Row } from './report.js';
import { runScale, SCALE_CASES } from './scale.js';
import { simulationRows } from './simulation.js';
import { benchSynFlood } from './syn-flood.js';
import { benchTcp } from './tcp.js';
import type { NativePrograms } from './twin.js';
import { vipRows } from './vip-rows.js';
import { benchWorkers } from './workers.js';

/** Everything that `npm run bench` measures, in this order: what a conductor does comes first. */

/** Of a family of cases, those that `--quick` measures: they stand for the others. */
const QUICK_CASES: readonly string[] = [
  'forward-ipv4-64',
  'forward-ipv6-64',
  'accept-ipv4',
  'accept-syn-ipv4',
  'redirect-ipv4',
  'scale-forward-ipv4',
  'dissect-wireguard-clientid',
  'dissect-quic-cid-plaintext',
  'capture-read-pcapng-64',
  'capture-write-1400',
];

function unlessQuick(name: string): Pick<Benchmark, 'notQuick'> {
  return QUICK_CASES.includes(name) ? {} : { notQuick: 'others like it are measured' };
}

export interface Benchmark {
  readonly name: string;
  /** Why `--quick` leaves it out: it takes seconds at the least. It still runs when `--only` names it. */
  readonly notQuick?: string;
  /** What a conductor does, which does not widen inlining as processes on the path do. */
  readonly asConductor?: true;
  /** Why it cannot run here. */
  missing?(): string | undefined;
  run(programs: NativePrograms, quick: boolean): Promise<Row[]> | Row[];
}

export const BENCHMARKS: readonly Benchmark[] = [
  { name: 'plan', asConductor: true, run: (_programs, quick) => benchPlan(quick) },
  {
    name: 'plan-10000',
    asConductor: true,
    notQuick: 'takes 5 s',
    run: (_programs, quick) => benchLargePlan(quick),
  },
  {
    name: 'simulation',
    asConductor: true,
    notQuick: 'takes 5 s',
    run: (_programs, quick) => simulationRows(quick),
  },
  {
    name: 'distribution',
    asConductor: true,
    notQuick: 'takes 17 s',
    missing: missingForDistribution,
    run: (_programs, quick) => benchDistribution(quick ? 5 : 25),
  },
  ...MEMORY_CASES.map(({ name }) => ({
    name,
    ...unlessQuick(name),
    run: async ({ library }: NativePrograms, quick: boolean) => [
      await runMemory({ name, library, options: { rounds: quick ? 31 : 301, passes: 50 } }),
    ],
  })),
  ...SCALE_CASES.map(({ name }) => ({
    name,
    ...unlessQuick(name),
    run: async ({ library }: NativePrograms, quick: boolean) => [
      await runScale({ name, library, rounds: quick ? 31 : 101 }),
    ],
  })),
  ...DISSECTOR_CASES.map(({ name }) => ({
    name,
    ...unlessQuick(name),
    run: async (_programs: NativePrograms, quick: boolean) => [
      await runDissector({ name, rounds: quick ? 31 : 301 }),
    ],
  })),
  { name: 'hash', run: ({ library }, quick) => benchHash(library, quick ? 31 : 301) },
  { name: 'heap', run: async (_programs, quick) => [await benchHeap(quick ? 2 : 3)] },
  { name: 'publish', notQuick: 'takes 5 s', run: () => benchPublish() },
  { name: 'vips', notQuick: 'takes 4 s', run: () => vipRows() },
  { name: 'replay', notQuick: 'takes 20 s', run: (_programs, quick) => benchReplay(quick ? 3 : 5) },
  { name: 'replay-memory', notQuick: 'takes 5 s', run: (_programs, quick) => benchReplayMemory(quick) },
  ...[...READ_CASES, ...WRITE_CASES].map(({ name }) => ({
    name,
    ...unlessQuick(name),
    run: async ({ library }: NativePrograms, quick: boolean) => [
      await runCapture({ name, library, rounds: quick ? 15 : 51 }),
    ],
  })),
  {
    name: 'tcp',
    missing: missingForIo,
    run: (programs, quick) => benchTcp(programs, quick),
  },
  {
    name: 'latency',
    notQuick: 'takes 8 s',
    missing: missingForIo,
    run: (programs, quick) => benchLatency(programs, quick),
  },
  {
    name: 'connections',
    notQuick: 'takes 8 s',
    missing: missingForConnections,
    run: (programs, quick) => benchConnections(programs, quick),
  },
  {
    name: 'syn-flood',
    notQuick: 'takes 25 s',
    missing: missingForIo,
    run: async (programs) => benchSynFlood(programs),
  },
  ...(['scale-tun', 'lookups'] as const).map((which) => ({
    name: which,
    notQuick: 'takes 6 s',
    missing: missingForIo,
    run: (programs: NativePrograms, quick: boolean) =>
      benchPace({
        which,
        programs,
        ...(quick ? { rounds: 11, milliseconds: 40 } : { rounds: 51, milliseconds: 100 }),
      }),
  })),
  {
    name: 'tun',
    missing: missingForIo,
    run: (programs, quick) =>
      benchIo({
        programs,
        ...(quick ? { rounds: 9, milliseconds: 40 } : { rounds: 51, milliseconds: 100 }),
      }),
  },
  {
    name: 'workers',
    notQuick: 'takes 30 s',
    missing: missingForIo,
    run: (programs, quick) => benchWorkers({ programs, rounds: quick ? 3 : 5, packets: 60_000 }),
  },
];
