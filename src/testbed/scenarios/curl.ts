import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { ForwardingTable } from '../../table/forwarding-table.js';
import { clientLink, clientName, type Family, serverOf, vip } from '../addresses.js';
import { TestbedError } from '../errors.js';
import { bucketOf } from '../owner.js';
import { inNamespace } from '../run.js';
import { streamDigest } from '../stream.js';
import { waitUntil } from '../wait.js';

/**
 * Downloads by a stock client: Debian's curl, in a client's namespace. Its local port is chosen so that the
 * forwarding table puts the connection on a given server.
 */
export class CurlDownload {
  private received = 0;
  private words = '';
  private readonly hash = createHash('sha256');
  /** Exit code, or the signal that ended it. */
  private exit: number | string | null = null;
  private readonly ended: Promise<void>;

  private constructor(
    private readonly seed: number,
    private readonly bytes: number,
    command: string,
    args: readonly string[],
  ) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk: Buffer) => {
      this.hash.update(chunk);
      this.received += chunk.length;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.words += text;
    });
    this.ended = new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new TestbedError(`curl: ${error.message}`)));
      child.on('close', (code, signal) => {
        this.exit = code ?? signal;
        resolve();
      });
    });
  }

  /** Starts one; resolves when bytes have arrived. */
  static async start(options: {
    readonly table: ForwardingTable;
    readonly client: number;
    readonly family: Family;
    /** Host-order DIP of the server that is to own the connection. */
    readonly dip: number;
    readonly bytes: number;
    readonly bytesPerSecond: number;
    readonly seed: number;
  }): Promise<CurlDownload> {
    const { client, family, bytes, seed } = options;
    const address = vip(1, family);
    const host = family === 4 ? address : `[${address}]`;
    const [command, args] = inNamespace(clientName(client), [
      // Verbose, because the head of the response tells who answers long before the end.
      ...['curl', '--silent', '--show-error', '--globoff', '--verbose'],
      ...['--limit-rate', String(options.bytesPerSecond)],
      ...['--local-port', String(portFor(options.table, client, family, options.dip, seed))],
      `http://${host}/download?bytes=${bytes}&seed=${seed}`,
    ]);
    const download = new CurlDownload(seed, bytes, command, args);
    await waitUntil('curl to receive its first bytes', () => {
      if (download.exit !== null) throw new TestbedError(`curl: ${download.words.trim()}`);
      return download.received > 0;
    });
    return download;
  }

  /** Who serves it. */
  get server(): string {
    return /^< x-server: *(\S+)/im.exec(this.words)?.[1] ?? '';
  }

  get inProgress(): boolean {
    return this.exit === null && this.received < this.bytes;
  }

  /** Resolves at its end with null, or with what went wrong. */
  async result(): Promise<string | null> {
    await this.ended;
    if (this.exit !== 0) return `curl ended with ${this.exit}: ${this.words.trim().split('\n').at(-1)}`;
    if (this.received !== this.bytes) return `${this.received} of ${this.bytes} bytes arrived`;
    return this.hash.digest('hex') === streamDigest(this.seed, this.bytes) ? null : 'wrong checksum';
  }
}

/** Below the kernel's ephemeral ports, so that none is taken by chance; each seed has a range of its own. */
function portFor(table: ForwardingTable, client: number, family: Family, dip: number, seed: number): number {
  const local = clientLink(client).own[family];
  const remote = { address: vip(1, family), port: 80 };
  const first = 10_000 + (seed % 20) * 1000;
  for (let port = first; port < first + 1000; port++) {
    if (table.firstHop(bucketOf(table, { local: { address: local, port }, remote })) === dip) return port;
  }
  throw new TestbedError(`no port of ${local} belongs to ${serverOf(dip)}`);
}
