import Table from 'cli-table3';
import { Command, Option } from 'commander';
import ora, { type Ora } from 'ora';
import { CaptureReader } from '../io/capture/reader.js';
import { openWriter } from '../io/capture/writer.js';
import { widenInlining } from '../node/engine.js';
import { loadFleet, serverNamed } from '../replay/load.js';
import { ReplayOutput } from '../replay/output.js';
import { type ReplayStage, replay } from '../replay/replay.js';
import type { ReplaySummary } from '../replay/summary.js';
import { colors } from './colors.js';
import { ExitCode } from './exit.js';
import { LineOutput } from './line-output.js';
import { repeated } from './options.js';

interface ReplayCommandOptions {
  readonly config: string;
  readonly as?: string;
  readonly stage: ReplayStage;
  readonly sockets?: string;
  readonly table: readonly string[];
  readonly write?: string;
  readonly comments: boolean;
  readonly keepAll?: true;
  readonly json?: true;
}

/** `twohop replay`: a capture through the path, without root and without a network. */
export function replayCommand(): Command {
  return new Command('replay')
    .description('run the packets of a capture through the path: what comes out, and why')
    .argument('<capture>', 'pcap or pcapng, also gzipped; - for standard input')
    .requiredOption('-c, --config <cluster.yaml>', 'the fleet: servers, trafficsets, tables')
    .option('--as <server>', 'the server that sees the packets (default: the first; see below)')
    .addOption(
      new Option(
        '--stage <stage>',
        'forward: as from the router; redirect: as from other servers; journey: all hops',
      )
        .choices(['forward', 'redirect', 'journey'])
        .default('forward'),
    )
    .option(
      '--sockets <file>',
      'sockets and sessions of the servers (default: everyone listens on everything)',
    )
    .option(
      '--table <file>',
      'a forwarding table to use instead of a configured one; repeat it',
      repeated,
      [],
    )
    .option('-w, --write <out.pcapng>', 'write what comes out; - for standard output; .pcap has no comments')
    .option('--no-comments', 'without a comment on every packet')
    .option('--keep-all', 'write what is dropped or passed, too, as it came')
    .option('--json', 'a line per packet on standard output; the summary goes to standard error')
    .addHelpText(
      'after',
      `
The servers are those of the configuration, with the forwarder and redirector of a node. A connection comes to be where
its SYN is taken in, as in a kernel. With --stage redirect and journey, wrapped packets are judged by the server that
they are addressed to, unless --as names one (redirect only).

A sockets file has a section per server, "*" for all, and lines as ss prints them, local before remote:
  "*": { listen: ["tcp *:80", "tcp *:443 cookies"] }
  s1:  { flows: ["tcp 192.0.2.1:80 198.51.100.7:40000"], sessions: { warp: ["0a0b0c"] } }

Examples:
  twohop replay in.pcap --config cluster.yaml --stage journey -w out.pcapng
  tcpdump -i eth0 -w - | twohop replay - --config cluster.yaml --json

Exit codes:
  0  every packet went through the path, whatever became of it
  1  the capture is cut or damaged: what lies before that went through the path
  2  a file cannot be read or is wrong, or the command line is`,
    )
    .action((capture: string, options: ReplayCommandOptions) => run(capture, options));
}

async function run(capture: string, options: ReplayCommandOptions): Promise<void> {
  widenInlining();
  const fleet = loadFleet({
    config: options.config,
    tables: options.table,
    sockets: options.sockets ?? null,
  });
  const as = options.as === undefined ? null : serverNamed(fleet, options.as);
  const input = await CaptureReader.open(capture);
  const writer = options.write === undefined ? null : openWriter(options.write);
  const isPcap = options.write?.endsWith('.pcap') === true;
  const output =
    writer === null
      ? null
      : new ReplayOutput(input, writer, {
          comments: options.comments && !isPcap,
          keepAll: options.keepAll === true,
          rawOnly: isPcap,
        });

  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  const lines = options.json === true ? new LineOutput() : null;
  const progress = new Progress(input);
  let summary: ReplaySummary;
  try {
    summary = await replay({
      input,
      fleet,
      stage: options.stage,
      as,
      output,
      onPacket: lines === null ? null : (packet) => lines.line(JSON.stringify(packet)),
      onProgress: (packets) => {
        lines?.flush();
        // Nobody reads the lines any more.
        if (lines?.closed === true || writer?.broken === true) abort.abort();
        progress.show(packets);
      },
      signal: abort.signal,
    });
    await lines?.end();
    await writer?.close();
  } catch (error) {
    await writer?.abandon();
    throw error;
  } finally {
    progress.end();
    await input.close();
  }
  const toStderr = options.json === true || options.write === '-';
  (toStderr ? process.stderr : process.stdout).write(`${report(summary, options)}\n`);
  if (summary.cut !== null) {
    process.stderr.write(`twohop: ${capture}: ${summary.cut}\n`);
    process.exitCode = ExitCode.Failed;
  }
}

class Progress {
  private readonly spinner: Ora | null;

  constructor(private readonly input: CaptureReader) {
    const { isTTY, columns } = process.stderr;
    this.spinner =
      isTTY === true && columns > 0 ? ora({ text: 'replaying', stream: process.stderr }).start() : null;
  }

  show(packets: number): void {
    if (this.spinner === null) return;
    const { bytesRead, size } = this.input;
    const share = size === null || size === 0 ? '' : `, ${Math.floor((100 * bytesRead) / size)} %`;
    this.spinner.text = `replaying: ${packets.toLocaleString('en')} packets${share}`;
  }

  end(): void {
    this.spinner?.stop();
  }
}

function report(summary: ReplaySummary, { stage }: ReplayCommandOptions): string {
  const table = new Table({
    head: ['server', 'stage', 'trafficset', 'verdict', 'packets', 'bytes', 'meaning'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'left'],
  });
  const rows = summary.counters();
  for (const { server, stage, trafficset, verdict, packets, bytes, meaning } of rows) {
    const number = (value: number) => value.toLocaleString('en');
    table.push([
      server,
      stage,
      trafficset ?? '-',
      colors.bold(verdict),
      number(packets),
      number(bytes),
      meaning,
    ]);
  }
  return [
    ...(rows.length === 0 ? [] : [table.toString()]),
    ...(stage === 'journey' ? journeyLines(summary) : []),
    ...notes(summary),
    `${plural(summary.packets, 'packet')}, ${summary.bytes.toLocaleString('en')} bytes`,
  ].join('\n');
}

/** `accepted at s2: 90 after 1 hop, 10 after 2`. */
function journeyLines(summary: ReplaySummary): string[] {
  return summary.journeys.rows().map(({ server, end, packets, byHops }) => {
    const ways = byHops.flatMap((count, hops) =>
      count === 0
        ? []
        : [`${count.toLocaleString('en')} ${hops === 0 ? 'at once' : `after ${plural(hops, 'hop')}`}`],
    );
    return `${end} at ${server}: ${plural(packets, 'packet')} (${ways.join(', ')})`;
  });
}

function notes({ notIp, unsupported, undecided, tooLong, forgotten }: ReplaySummary): string[] {
  return [
    ...(notIp === 0 ? [] : [`not IP: ${plural(notIp, 'frame')}`]),
    ...[...unsupported].map(
      (linkType) =>
        `link type ${linkType} is not understood: Ethernet, raw IP, Linux cooked and loopback captures are`,
    ),
    ...(undecided === 0
      ? []
      : [`cut by the capture's snap length, too short to decide: ${plural(undecided, 'packet')}`]),
    ...(tooLong === 0 ? [] : [`longer than IP allows: ${plural(tooLong, 'packet')}`]),
    ...(forgotten === 0
      ? []
      : [`connections no longer followed, as more came than are kept: ${forgotten.toLocaleString('en')}`]),
  ];
}

function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}
