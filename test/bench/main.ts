import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { Command } from 'commander';
import { rangeChartSvg } from '../../src/chart/ranges-svg.js';
import { widenInlining } from '../../src/node/engine.js';
import { BENCHMARKS } from './benchmarks.js';
import { formatReport, type Report, type Row, type Skipped } from './report.js';
import { chartOf } from './report-chart.js';
import { compileNative } from './twin.js';
import { checkTwin } from './twin-check.js';

/** `npm run bench`: the packet path against its native twin, round by round in the same run. */

interface Options {
  readonly json?: true;
  readonly quick?: true;
  readonly only?: string;
  readonly chart?: string;
}

async function main(options: Options): Promise<boolean> {
  const began = performance.now();
  const quick = options.quick === true;
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const named = BENCHMARKS.filter(({ name }) => name.includes(options.only ?? ''));
  if (named.length === 0) {
    say(`no benchmark is named ${options.only}; there are: ${BENCHMARKS.map(({ name }) => name).join(' ')}`);
    return false;
  }
  const leavesOut = quick && options.only === undefined;
  const chosen = named.filter(({ notQuick }) => !leavesOut || notQuick === undefined);
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
    // For the whole process, and from then on.
    if (benchmark.asConductor !== true) widenInlining();
    const start = performance.now();
    rows.push(...(await benchmark.run(programs, quick)));
    say(`${benchmark.name} measured in ${seconds(start)} s`);
  }
  // Where everything must be measured, what was not is no success.
  const complete = skipped.length === 0 || process.env.CI !== 'true';
  const report: Report = {
    command: commandLine(options),
    machine: `${cpus().length} x ${cpus()[0].model}, Node ${process.version}`,
    seconds: Number(seconds(began)),
    rows,
    skipped,
    leftOut: named.flatMap(({ name, notQuick }) =>
      leavesOut && notQuick !== undefined ? [{ name, why: notQuick }] : [],
    ),
    pass: complete && rows.every((row) => row.pass !== false),
  };
  if (options.chart !== undefined) writeFileSync(options.chart, await rangeChartSvg(chartOf(report)));
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, null, 2)}\n` : `${formatReport(report)}\n`,
  );
  return report.pass;
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

function commandLine(options: Options): string {
  const words = [
    ...(options.quick === true ? ['--quick'] : []),
    ...(options.only === undefined ? [] : ['--only', options.only]),
    ...(options.chart === undefined ? [] : ['--chart', options.chart]),
    ...(options.json === true ? ['--json'] : []),
  ];
  return words.length === 0 ? 'npm run bench' : `npm run bench -- ${words.join(' ')}`;
}

const command = new Command('bench')
  .description('Measure the packet path against its native twin; exit code 1 when a bar is missed')
  .option('--quick', 'fewer and shorter rounds, and not all of the benchmarks: under a minute')
  .option('--only <name>', 'only benchmarks whose name contains this')
  .option('--json', 'print the report as JSON')
  .option('--chart <file>', 'draw the report as SVG: every row against its bar')
  .addHelpText('after', '\nExample:\n  npm run bench -- --quick --chart bench.svg')
  .parse();
process.exitCode = (await main(command.opts<Options>())) ? 0 : 1;
