import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { simulate } from '../simulation/simulate.js';
import { wholeNumber } from './options.js';
import { describeResult } from './simulate-output.js';

interface SimulateOptions {
  readonly servers: number;
  readonly hours: number;
  readonly seed: number;
  readonly interval: number;
  readonly buckets?: number;
  readonly quick?: true;
  readonly svg?: string;
  readonly json?: true;
}

/** With `--quick`, what is not given differs. */
const QUICK = { servers: 60, groups: 2 ** 17 };

/** `twohop simulate`: a day of a data center with the real planner, next to other ways of spreading connections. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('simulate a day of a data center: the planner next to ECMP, Maglev and rendezvous hashing')
    .option('--servers <n>', 'servers at the beginning', wholeNumber(10, 20_000), 500)
    .option('--hours <n>', 'hours from midnight on', wholeNumber(1, 24 * 14), 24)
    .option('--seed <n>', 'the same seed gives the same figures', wholeNumber(0, 2 ** 31), 1)
    .option('--buckets <n>', 'a power of two (default: more than 200 per server)', wholeNumber(16, 1 << 24))
    .option('--interval <minutes>', 'between two balance steps', wholeNumber(1, 60), 1)
    .option('--quick', `${QUICK.servers} servers unless --servers is given: some seconds instead of a minute`)
    .option('--svg <directory>', 'draw charts into it')
    .option('--json', 'print all figures and curves for programs')
    .addHelpText(
      'after',
      `
What happens in the day, how connections are modelled and what the figures mean: native-notes/simulation.md

Examples:
  twohop simulate --quick
  twohop simulate --svg charts
  twohop simulate --servers 2000 --seed 7 --json > day.json`,
    )
    .action(run);
}

async function run(options: SimulateOptions, command: Command): Promise<void> {
  const quick = options.quick === true;
  const isDefault = command.getOptionValueSource('servers') === 'default';
  const progress = new Progress();
  const result = simulate({
    servers: quick && isDefault ? QUICK.servers : options.servers,
    hours: options.hours,
    seed: options.seed,
    balanceInterval: 60 * options.interval,
    ...(options.buckets === undefined ? {} : { buckets: options.buckets }),
    ...(quick ? { groups: QUICK.groups } : {}),
    onProgress: (done) => progress.show(done),
  });
  progress.end();
  process.stdout.write(
    options.json === true ? `${JSON.stringify(result, null, 2)}\n` : `${describeResult(result)}\n`,
  );
  if (options.svg === undefined) return;
  const { drawResult } = await import('../simulation/charts.js');
  mkdirSync(options.svg, { recursive: true });
  for (const { file, svg } of await drawResult(result)) {
    const path = join(options.svg, file);
    writeFileSync(path, svg);
    process.stderr.write(`drawn: ${path}\n`);
  }
}

/** A percentage on standard error, where that is a terminal. */
class Progress {
  readonly #shown = process.stderr.isTTY === true;
  #percent = -1;

  show(done: number): void {
    const percent = Math.floor(100 * done);
    if (!this.#shown || percent === this.#percent) return;
    this.#percent = percent;
    process.stderr.write(`\rsimulating: ${percent} %`);
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\u001b[K');
  }
}
