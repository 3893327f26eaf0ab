import { cpus } from 'node:os';
import { Command } from 'commander';
import { widenInlining } from '../../src/node/engine.js';
import { READ_CASES, runCapture, WRITE_CASES } from './captures.js';
import { DISSECTOR_CASES, runDissector } from './dissectors.js';
import { benchDistribution, missingForDistribution } from './distribution.js';
import { benchHeap } from './heap.js';
import { benchIo, missingForIo } from './io.js';
import { MEMORY_CASES, runMemory } from './memory.js';
import { benchPlan } from './plan.js';
import { benchPublish } from './publish.js';
import { benchReplay, benchReplayMemory } from './replay.js';
import { formatReport, type Row, type Skipped } from './report.js';
import { simulationRows } from './simulation.js';
import { benchTcp } from './tcp.js';
import { compileNative, type NativePrograms } from './twin.js';
import { checkTwin } from './twin-check.js';
import { vipRows } from './vip-rows.js';

/** `npm run bench`: the packet path against its native twin, round by round in the same run. */

interface Options {
  readonly json?: true;
  readonly quick?: true;
  readonly only?: string;
}

interface Benchmark {
  readonly name: string;
  /** Why it cannot run here. */
  missing?(): string | undefined;
  run(programs: NativePrograms, quick: boolean): Promise<Row[]> | Row[];
}

const benchmarks: readonly Benchmark[] = [
  ...MEMORY_CASES.map(({ name }) => ({
    name,
    run: async ({ library }: NativePrograms, quick: boolean) => [
      await runMemory({ name, library, options: { rounds: quick ? 31 : 301, passes: 50 } }),
    ],
  })),
  ...DISSECTOR_CASES.map(({ name }) => ({
    name,
    run: async (_programs: NativePrograms, quick: boolean) => [
      await runDissector({ name, rounds: quick ? 31 : 301 }),
    ],
  })),
  { name: 'heap', run: async (_programs, quick) => [await benchHeap(quick ? 2 : 3)] },
  { name: 'plan', run: (_programs, quick) => benchPlan(quick) },
  { name: 'publish', run: () => benchPublish() },
  { name: 'vips', run: () => vipRows() },
  { name: 'simulation', run: (_programs, quick) => simulationRows(quick) },
  { name: 'replay', run: (_programs, quick) => benchReplay(quick ? 3 : 11) },
  { name: 'replay-memory', run: (_programs, quick) => benchReplayMemory(quick) },
  ...[...READ_CASES, ...WRITE_CASES].map(({ name }) => ({
    name,
    run: async ({ library }: NativePrograms, quick: boolean) => [
      await runCapture({ name, library, rounds: quick ? 15 : 101 }),
    ],
  })),
  {
    name: 'distribution',
    missing: missingForDistribution,
    run: (_programs, quick) => benchDistribution(quick ? 5 : 25),
  },
  {
    name: 'tcp',
    missing: missingForIo,
    run: (programs, quick) => benchTcp(programs, quick),
  },
  {
    name: 'tun',
    missing: missingForIo,
    run: (programs, quick) =>
      benchIo({
        programs,
        ...(quick ? { rounds: 15, milliseconds: 40 } : { rounds: 151, milliseconds: 100 }),
      }),
  },
];

async function main(options: Options): Promise<boolean> {
  widenInlining();
  const quick = options.quick === true;
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const chosen = benchmarks.filter(({ name }) => name.includes(options.only ?? ''));
  if (chosen.length === 0) {
    say(`no benchmark is named ${options.only}; there are: ${benchmarks.map(({ name }) => name).join(' ')}`);
    return false;
  }
  const programs = compileNative();
  const check = checkTwin(programs.library, quick ? 20_000 : 200_000);
  say(`twin check: ${check.packets} packets equal, ${check.verdicts} different verdicts`);

  const rows: Row[] = [];
  const skipped: Skipped[] = [];
  for (const benchmark of chosen) {
    const missing = benchmark.missing?.();
    if (missing !== undefined) {
      skipped.push({ name: benchmark.name, skipped: missing });
      continue;
    }
    say(`running ${benchmark.name}`);
    rows.push(...(await benchmark.run(programs, quick)));
  }
  // Where everything must be measured, what was not is no success.
  const complete = skipped.length === 0 || process.env.CI !== 'true';
  const report = {
    command: commandLine(options),
    machine: `${cpus().length} x ${cpus()[0].model}, Node ${process.version}`,
    rows,
    skipped,
    pass: complete && rows.every((row) => row.pass !== false),
  };
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, null, 2)}\n` : `${formatReport(report)}\n`,
  );
  return report.pass;
}

function commandLine(options: Options): string {
  const words = [
    ...(options.quick === true ? ['--quick'] : []),
    ...(options.only === undefined ? [] : ['--only', options.only]),
    ...(options.json === true ? ['--json'] : []),
  ];
  return words.length === 0 ? 'npm run bench' : `npm run bench -- ${words.join(' ')}`;
}

const command = new Command('bench')
  .description('Measure the packet path against its native twin; exit code 1 when a bar is missed')
  .option('--quick', 'fewer and shorter rounds: under a minute')
  .option('--only <name>', 'only benchmarks whose name contains this')
  .option('--json', 'print the report as JSON')
  .parse();
process.exitCode = (await main(command.opts<Options>())) ? 0 : 1;
