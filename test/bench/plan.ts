import {
  type BalanceSettings,
  fromTable,
  initialState,
  type PlannedServer,
  type PlannerState,
  plan,
  toTable,
} from '../../src/conductor/plan/index.js';
import { MemoryStore } from '../../src/store/memory.js';
import { publishTable, readPublished } from '../../src/store/tables.js';
import type { Row } from './report.js';
import { pairedRounds, spreadOf } from './stats.js';

/** One planning step, next to reading and writing the table it is about once, in the same process and round by round. */

const MAX_STEP_MS = 50;
const MAX_RECOVERY_MS = 1000;
const NOW = 1_700_000_000;
const WARM_UP = 10;

const SETTINGS: BalanceSettings = {
  scheme: 'tcp',
  pools: { default: 1 },
  maxChangePerMinute: 0.25,
  minHolderAge: 3600,
  gain: 0.5,
  deadBand: 0.02,
  maxCorrectionStep: 1.5,
  maxCorrection: 4,
};

function fleet(count: number): PlannedServer[] {
  return Array.from({ length: count }, (_, at) => ({
    name: `s${at}`,
    dip: 0x0a000001 + at,
    weight: 1,
    pool: 'default',
    standing: 'in' as const,
  }));
}

function measure(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

/** What any step must do at least: look at every row, and write a table. */
function copyRows({ slots }: PlannerState): number {
  let sum = 0;
  const copy = new Uint32Array(slots.length);
  for (let at = 0; at < slots.length; at++) {
    copy[at] = slots[at];
    sum ^= copy[at];
  }
  return sum;
}

export async function benchPlan(quick: boolean): Promise<Row[]> {
  const rounds = quick ? 11 : 51;
  return [...stepRows(1000, 131_072, rounds, MAX_STEP_MS), await recoveryRow(quick ? 3 : 11)];
}

/** Of ten times as many servers; only stated. */
export function benchLargePlan(quick: boolean): Row[] {
  return stepRows(10_000, 1_048_576, quick ? 3 : 11, null);
}

function stepRows(count: number, buckets: number, rounds: number, bar: number | null): Row[] {
  const servers = fleet(count);
  const before = servers.slice(1);
  const state = initialState({ buckets, settings: SETTINGS, servers: before, fillHolders: true });
  const drained = before.map((one, at) => (at === 0 ? { ...one, standing: 'drained' as const } : one));
  const loads = new Map(servers.map(({ name }, at) => [name, 0.5 + 0.2 * Math.sin(at)]));
  const steps = [
    { name: 'join', servers, loads: null },
    { name: 'drain', servers: drained, loads: null },
    { name: 'balance', servers: before, loads },
  ];
  return steps.map(({ name, ...step }): Row => {
    const run = () => plan(state, SETTINGS, { now: NOW, ...step });
    const { native, js, ratio } = pairedRounds(
      rounds,
      WARM_UP,
      () => measure(() => copyRows(state)),
      () => measure(run),
    );
    const heap = process.memoryUsage();
    return {
      name: `plan-${name}-${count}`,
      unit: 'ms',
      js,
      ...(bar === null ? {} : { bar: `median < ${bar} ms`, pass: js.median < bar }),
      notes: [
        `${count} servers, ${buckets} buckets, ${run().changed.length} changed; ${ratio.median.toFixed(1)} times as long as ` +
          `copying the rows one by one (${native.median.toFixed(2)} ms); process ${Math.round(heap.rss / 2 ** 20)} MiB, ` +
          `state ${Math.round((12 * buckets) / 2 ** 20)} MiB`,
      ],
    };
  });
}

/** Reads what a conductor left in a store (base, ages, a difference), and plans the next step. */
async function recoveryRow(rounds: number): Promise<Row> {
  const store = new MemoryStore();
  const servers = fleet(1000);
  const first = initialState({ buckets: 131_072, settings: SETTINGS, servers: servers.slice(2) });
  const second = plan(first, SETTINGS, { now: NOW, servers: servers.slice(1), loads: null }).state;
  let previous = null;
  for (const { version, slots, changedAt, corrections } of [first, second]) {
    const table = toTable({ version, slots, changedAt, corrections }, 'web', new Uint8Array(8));
    const result = await publishTable(
      store,
      { table, changedAt, planner: { version, corrections: {} } },
      previous,
      [],
    );
    if (!result.published) throw new Error('not published');
    previous = result.state;
  }
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    const published = await readPublished(store, 'web');
    if (published === null) throw new Error('nothing is published');
    const state = fromTable(published.table, { changedAt: published.changedAt });
    plan(state, SETTINGS, { now: NOW + 100, servers, loads: null });
    samples.push(performance.now() - started);
  }
  await store.close();
  const js = spreadOf(samples);
  return {
    name: 'plan-recovery-1000',
    unit: 'ms',
    js,
    bar: `all < ${MAX_RECOVERY_MS} ms`,
    pass: js.max < MAX_RECOVERY_MS,
    notes: [
      '131072 buckets: base, ages and a difference from a store in memory, checked, then one step; in a process that has planned before',
    ],
  };
}
