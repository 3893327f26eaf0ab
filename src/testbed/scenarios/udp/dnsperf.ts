import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { TestbedError } from '../../errors.js';
import { HOSTS, ZONE } from '../../name-server.js';
import { inNamespace, run } from '../../run.js';
import type { Site } from '../../site.js';

/** Queries by a stock client: Debian's dnsperf, in a client's namespace. */

export interface DnsTarget {
  readonly client: Site;
  /** The name server. */
  readonly address: string;
  /** Default: UDP. */
  readonly over?: 'udp' | 'tcp';
  /** Bytes of an EDNS option that makes every query that much longer. */
  readonly padding?: number;
}

export interface DnsReport {
  readonly sent: number;
  /** Answered, and without an error. */
  readonly answered: number;
  readonly perSecond: number;
}

/** Sockets, and so local ports: flows that a router and a forwarding table can tell apart. */
const SOCKETS = 64;
/** How many queries may wait for their answer at a time: of those who ask as fast as they can, and of a steady load. */
const OUTSTANDING = 64;
const OUTSTANDING_UNDER_LOAD = 5000;
/** After which a query counts as lost. */
const TIMEOUT_S = 5;
/** For local use (RFC 6891, section 9): whoever does not know it ignores it. */
const PADDING_OPTION = 65001;

/** Addresses of both kinds of every host of the zone. */
export const QUERIES = Array.from({ length: HOSTS }, (_, index) =>
  ['A', 'AAAA'].map((type) => `h${index + 1}.${ZONE} ${type}\n`),
).flat();

/** As many queries as can be answered in this time. */
export function askFor(target: DnsTarget, seconds: number): Promise<DnsReport> {
  return ask(target, ['-l', String(seconds)]);
}

/** Each of {@link QUERIES} once. */
export function askAll(target: DnsTarget): Promise<DnsReport> {
  return ask(target, ['-n', '1']);
}

async function ask(target: DnsTarget, extent: readonly string[]): Promise<DnsReport> {
  const file = target.client.file('queries');
  await writeFile(file, QUERIES.join(''));
  const [command, args] = commandLine(target, ['-d', file, '-q', String(OUTSTANDING), ...extent]);
  const { stdout } = await run(command, args);
  return parseReport(stdout);
}

function commandLine(
  { client, address, over = 'udp', padding = 0 }: DnsTarget,
  args: readonly string[],
): [string, string[]] {
  return inNamespace(client.name, [
    ...['dnsperf', '-f', isIPv4(address) ? 'inet' : 'inet6', '-s', address, '-m', over],
    ...['-c', String(SOCKETS), '-t', String(TIMEOUT_S)],
    ...(padding === 0 ? [] : ['-e', '-E', `${PADDING_OPTION}:${'00'.repeat(padding)}`]),
    ...args,
  ]);
}

function parseReport(text: string): DnsReport {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const report = {
    sent: number(/^\s*Queries sent:\s+(\d+)/m),
    // A run without a single answer has no line of response codes.
    answered: number(/^\s*Queries completed:\s+(\d+)/m) === 0 ? 0 : number(/\bNOERROR (\d+)/),
    perSecond: Math.round(number(/^\s*Queries per second:\s+([\d.]+)/m)),
  };
  if (Number.isNaN(report.sent + report.answered)) throw new TestbedError(`dnsperf: ${text.trim()}`);
  return report;
}

/** The load is handed out so many times per second. */
const TICKS_PER_SECOND = 50;

/** Queries at a steady pace until it is told to stop; then it waits for what is still to be answered. */
export class DnsLoad {
  private readonly timer: NodeJS.Timeout;
  private readonly ended: Promise<string>;
  private next = 0;

  private constructor(
    private readonly child: ChildProcess,
    perSecond: number,
  ) {
    this.ended = outputOf(child);
    // Seen by `stop`.
    this.ended.catch(() => {});
    child.stdin?.on('error', () => {});
    this.timer = setInterval(() => this.feed(perSecond / TICKS_PER_SECOND), 1000 / TICKS_PER_SECOND);
  }

  static start(target: DnsTarget, perSecond: number): DnsLoad {
    const [command, args] = commandLine(target, ['-q', String(OUTSTANDING_UNDER_LOAD)]);
    return new DnsLoad(spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }), perSecond);
  }

  async stop(): Promise<DnsReport> {
    clearInterval(this.timer);
    this.child.stdin?.end();
    return parseReport(await this.ended);
  }

  private feed(count: number): void {
    const lines = Array.from({ length: count }, () => QUERIES[this.next++ % QUERIES.length]);
    this.child.stdin?.write(lines.join(''));
  }
}

function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new TestbedError(`dnsperf: ${error.message}`)));
    child.on('close', () => resolve(text));
  });
}
