import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientName } from './addresses.js';
import { TestbedError } from './errors.js';
import { inNamespace } from './run.js';
import { streamDigest } from './stream.js';
import { waitUntil } from './wait.js';

export interface CurlRequest {
  readonly client: number;
  /** As URLs have it: IPv6 in brackets. */
  readonly host: string;
  /** The client's own; default: any. */
  readonly port?: number;
  /** Of the content; see stream.ts. */
  readonly seed: number;
}

/** Read at once, and how often: 15 kB per second. */
const SIP = 1500;
const PAUSE_MS = 100;

/**
 * A download from the testbed's HTTP service by a stock client: Debian's curl, in a client's namespace. Its output is read in small sips, which slow the sender
 * down, so that it is in progress for as long as is wanted; then it is let run.
 */
export class CurlDownload {
  private readonly hash = createHash('sha256');
  private received = 0;
  private words = '';
  private flowing = false;
  private exit: number | string | null = null;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly seed: number,
    private readonly bytes: number,
    private readonly child: ChildProcess,
  ) {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.words += text;
    });
    child.once('error', (error) => this.end(error.message));
    // What nobody reads when a process ends is thrown away.
    child.once('exit', () => this.flow());
    child.once('close', (code, signal) => this.end(code ?? signal));
    this.timer = setInterval(() => this.sip(), PAUSE_MS);
  }

  /** Starts all of them, of the same length; resolves when all have received something. */
  static async startAll(requests: readonly CurlRequest[], bytes: number): Promise<CurlDownload[]> {
    const downloads = requests.map(({ client, host, port, seed }) => {
      const [command, args] = inNamespace(clientName(client), [
        ...['curl', '--silent', '--show-error', '--globoff'],
        ...(port === undefined ? [] : ['--local-port', String(port)]),
        `http://${host}/download?bytes=${bytes}&seed=${seed}`,
      ]);
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      return new CurlDownload(seed, bytes, child);
    });
    await waitUntil(`the first bytes of ${downloads.length} downloads`, () =>
      downloads.every((download) => {
        if (download.received > 0) return true;
        if (download.exit !== null) {
          throw new TestbedError(`curl ended with ${download.exit}: ${download.words.trim()}`);
        }
        return false;
      }),
    );
    return downloads;
  }

  get inProgress(): boolean {
    return this.exit === null && this.received < this.bytes;
  }

  /**
   * Lets it run to its end.
   * @param stallMs after how long without a byte it counts as broken, and is ended
   * @returns null, or what went wrong
   */
  async finish(stallMs: number): Promise<string | null> {
    this.flow();
    let seen = this.received;
    let since = performance.now();
    while (this.exit === null) {
      await sleep(20);
      if (this.received > seen) {
        seen = this.received;
        since = performance.now();
      } else if (performance.now() - since > stallMs) {
        this.child.kill('SIGKILL');
        return `stood still after ${this.received} of ${this.bytes} bytes`;
      }
    }
    if (this.exit !== 0) return `curl ended with ${this.exit}: ${this.words.trim()}`;
    if (this.received !== this.bytes) return `${this.received} of ${this.bytes} bytes arrived`;
    return this.hash.digest('hex') === streamDigest(this.seed, this.bytes) ? null : 'wrong checksum';
  }

  private flow(): void {
    if (this.flowing) return;
    this.flowing = true;
    clearInterval(this.timer);
    this.child.stdout?.on('data', (chunk: Buffer) => this.take(chunk));
  }

  private sip(): void {
    const chunk = this.child.stdout?.read(SIP) ?? this.child.stdout?.read();
    if (chunk instanceof Buffer) this.take(chunk);
  }

  private take(chunk: Buffer): void {
    this.hash.update(chunk);
    this.received += chunk.length;
  }

  private end(exit: number | string | null): void {
    this.exit ??= exit;
  }
}
