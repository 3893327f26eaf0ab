import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { Argument, Command } from 'commander';
import ora, { type Ora } from 'ora';
import type { LineChart } from '../chart/chart.js';
import { lineChartSvg } from '../chart/svg.js';
import { lineChartText } from '../chart/terminal.js';
import { serverName } from '../testbed/addresses.js';
import type { NodeSettings } from '../testbed/cluster-file.js';
import type { Picture } from '../testbed/control/picture.js';
import { type DemoEvent, type DemoOutcome, runDemo } from '../testbed/demo.js';
import { DEFAULT_NAME } from '../testbed/state.js';
import { DEFAULT_SUITE, SUITES, suiteNamed } from '../testbed/suites/index.js';
import type { Suite } from '../testbed/suites/suite.js';
import { colors } from './colors.js';
import { pictureLines } from './demo-picture.js';
import { addNodeOptions, count, nodeSettingsOf } from './testbed-common.js';

/** With more, a step might find by chance that none of its connections is on the server it is about. */
const MOST_SERVERS = 8;

/** `twohop demo`: the promises of the load balancer, one after another, against real kernels, sockets and clients. */
export function demoCommand(): Command {
  const command = new Command('demo')
    .description('show on this machine what the load balancer promises, and that it holds (needs root)')
    .addArgument(
      new Argument('[suite]', 'which demonstration')
        .choices(SUITES.map(({ name }) => name))
        .default(DEFAULT_SUITE.name),
    )
    .option('--servers <n>', `number of servers, 2 to ${MOST_SERVERS}`, count(MOST_SERVERS, 2), 4);
  return addNodeOptions(command, `; only ${DEFAULT_SUITE.name} shows what it changes`)
    .option('--keep', 'leave the data center up afterwards, to look around')
    .option('--chart <file>', 'where to write the curve that a step draws, as SVG', DEFAULT_CHART)
    .option('--json', 'print the results for programs')
    .addHelpText(
      'after',
      `
Demonstrations:
${SUITES.map(({ name, title }) => `  ${name.padEnd(11)}${title}`).join('\n')}

Exit code: 0 when every step held, 1 otherwise.

Examples:
  twohop demo
  twohop demo roaming
  twohop demo --keep && twohop testbed exec ${DEFAULT_SUITE.tryOut}`,
    )
    .action((suite: string, options: DemoCommandOptions) => demo(suiteNamed(suite), options));
}

interface DemoCommandOptions extends NodeSettings {
  readonly servers: number;
  readonly keep?: boolean;
  readonly chart: string;
  readonly json?: boolean;
}

const DEFAULT_CHART = join(tmpdir(), 'twohop-demo.svg');

async function demo(suite: Suite, options: DemoCommandOptions): Promise<void> {
  const begin = performance.now();
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);

  const progress = new Progress(hasSpinner(process.stderr));
  let outcome: DemoOutcome;
  try {
    outcome = await runDemo({
      suite,
      servers: options.servers,
      nodes: nodeSettingsOf(options),
      keepAs: options.keep === true ? DEFAULT_NAME : null,
      signal: abort.signal,
      onEvent: (event) => progress.show(event),
    });
  } finally {
    progress.end();
  }
  const charts = outcome.results.flatMap(({ chart }) => chart ?? []);
  for (const chart of charts) await writeFile(options.chart, await lineChartSvg(chart));
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  const held = outcome.notRun.length === 0 && outcome.results.every((result) => result.held);
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ held, seconds, steps: outcome.results, notRun: outcome.notRun }, null, 2)}\n`
      : `${report(outcome, seconds)}\n${charts.map((chart) => chartReport(chart, options.chart)).join('')}`,
  );
  if (outcome.kept !== null) process.stderr.write(`${howToLookAround(suite)}\n`);
  if (!held) process.exitCode = 1;
}

/** A terminal may say that it is no columns wide (a serial console, some containers); ora would clear lines for ever. */
function hasSpinner(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && stream.columns > 0;
}

/** A spinner on a terminal, plain lines in a pipe; on standard error, where it does not mix with the results. */
class Progress {
  private spinner: Ora | null = null;
  private title = '';

  constructor(private readonly isTerminal: boolean) {
    this.begin('Building a data center');
  }

  show(event: DemoEvent): void {
    if (event.event === 'up') this.finish(true, `Data center up in ${event.seconds} s`);
    else if (event.event === 'begin') this.begin(event.title);
    else if (event.event === 'picture') this.picture(event.picture);
    else if (event.event === 'end') {
      const { held, title, seconds } = event.result;
      this.finish(held, `${title} (${seconds} s)`);
    }
  }

  /** Leaves no spinner behind, whatever happened. */
  end(): void {
    this.spinner?.stop();
    this.spinner = null;
  }

  private begin(text: string): void {
    this.title = text;
    if (this.isTerminal) this.spinner = ora({ text, stream: process.stderr }).start();
  }

  private picture(picture: Picture): void {
    if (this.spinner === null) return;
    this.spinner.text = [this.title, ...pictureLines(picture, process.stderr.columns)].join('\n');
  }

  private finish(held: boolean, text: string): void {
    if (this.spinner === null) process.stderr.write(`${held ? 'ok      ' : 'NOT HELD'} ${text}\n`);
    else if (held) this.spinner.succeed(text);
    else this.spinner.fail(text);
    this.spinner = null;
  }
}

function report({ results, notRun }: DemoOutcome, seconds: number): string {
  const table = new Table({ head: ['step', 'what was seen', 'held'], style: { head: [], border: [] } });
  const widths = columnWidths(process.stdout.columns);
  for (const { title, lines, reasons, held } of results) {
    const seen = [...lines, ...reasons.map((reason) => colors.red(`! ${reason}`))];
    table.push([
      stepCell(title, widths.step),
      seen.map((line) => wrap(line, widths.seen)).join('\n'),
      held ? colors.green('yes') : colors.red('NO'),
    ]);
  }
  for (const title of notRun) table.push([stepCell(title, widths.step), 'not tried', colors.red('NO')]);
  const all = results.length + notRun.length;
  const failed = all - results.filter(({ held }) => held).length;
  const verdict =
    failed === 0
      ? colors.green(`All ${all} steps held`)
      : colors.red(`${failed} of ${all} steps did not hold`);
  return `\n${table.toString()}\n${verdict}, in ${seconds} s.`;
}

function chartReport(chart: LineChart, file: string): string {
  const columns = Math.max(60, Math.min(process.stdout.columns || 100, 120));
  const text = lineChartText(chart, { columns, rows: 16, color: process.stdout.isTTY === true });
  return `\n${text}\n\nThe same as a picture: ${file}\n`;
}

/** @param terminal its width; undefined or 0 where there is none */
function columnWidths(terminal: number | undefined): { readonly step: number; readonly seen: number } {
  const room = Math.max(60, Math.min(terminal || 120, 120));
  const step = room < 110 ? 20 : 30;
  // The third column holds four characters, and ten go into lines and margins.
  return { step, seen: room - step - 14 };
}

/** `Drain: s1 leaves` as a heading and what is done under it. */
function stepCell(title: string, width: number): string {
  const colon = title.indexOf(': ');
  return `${colors.bold(title.slice(0, colon))}\n${wrap(title.slice(colon + 2), width)}`;
}

/** Breaks a line at spaces; cli-table3 only does so in tables of fixed width. */
function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

function howToLookAround({ tryOut }: Suite): string {
  const server = serverName(1);
  return `
The data center is still up. Look around:
  twohop testbed exec ${tryOut}
  twohop testbed exec ${server} -- curl -s --unix-socket /run/twohop/${server}.sock http://node/metrics
  twohop testbed exec ${server} -- tcpdump -ni eth0 udp port 6080
  twohop testbed exec r0 -- ip route
Take it down:
  twohop testbed down`;
}
