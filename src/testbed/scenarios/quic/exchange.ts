import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientName, type Family, vip } from '../../addresses.js';
import { TestbedError } from '../../errors.js';
import {
  clientIdOf,
  type Exchange,
  QUIC_PORTS,
  RESPONSE_LENGTH,
  UPLOAD_LENGTH,
  type Way,
} from '../../quic/plan.js';
import { inNamespace } from '../../run.js';
import { PseudoRandomStream, streamDigest } from '../../stream.js';

export interface ExchangeOptions {
  /** By number. */
  readonly client: number;
  readonly family: Family;
  readonly way: Way;
  readonly exchange: Exchange;
  /** Never used twice: names the connection, and says what goes over it. */
  readonly seed: number;
  /** Takes a directory of this exchange's own. */
  readonly directory: string;
  /** So long after the handshake it goes on from a new socket, with a fresh connection ID (RFC 9000 section 9). */
  readonly migrateAfterMs?: number;
}

/** It gives up after as long without a packet: longer than a busy machine may keep it waiting. */
const IDLE_SECONDS = 8;

/** A request and its response over QUIC by a stock client: ngtcp2's gtlsclient, from Debian, in a client's namespace. */
export class QuicExchange {
  private words = '';
  private readonly end: Promise<void>;

  private constructor(
    readonly options: ExchangeOptions,
    private readonly responseFile: string,
    child: ChildProcess,
  ) {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.words = (this.words + text).slice(-1000);
    });
    this.end = new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new TestbedError(`gtlsclient: ${error.message}`)));
      child.on('close', () => resolve());
    });
    // Whoever asks for the result hears of it; that nobody has asked yet is no reason to end.
    this.end.catch(() => {});
  }

  static async start(options: ExchangeOptions): Promise<QuicExchange> {
    const { client, family, way, exchange, seed, migrateAfterMs } = options;
    const directory = join(options.directory, String(seed));
    await mkdir(directory, { recursive: true });
    const upload = join(directory, 'upload');
    if (exchange === 'upload') await writeFile(upload, new PseudoRandomStream(seed).next(UPLOAD_LENGTH));
    const [command, args] = inNamespace(clientName(client), [
      ...['gtlsclient', '--quiet', '--exit-on-all-streams-close', `--timeout=${IDLE_SECONDS}s`],
      ...[`--scid=${clientIdOf(seed)}`, `--download=${directory}`],
      ...(exchange === 'upload' ? ['--http-method=POST', `--data=${upload}`] : []),
      ...(migrateAfterMs === undefined ? [] : [`--change-local-addr=${migrateAfterMs}ms`]),
      ...[vip(1, family), String(QUIC_PORTS[way][exchange]), 'https://vip/response'],
    ]);
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return new QuicExchange(options, join(directory, 'response'), child);
  }

  /** The client's connection ID, by which a server's report names the connection. */
  get id(): string {
    return clientIdOf(this.options.seed);
  }

  /**
   * Resolves at its end with null when the response came and was right, or with what went wrong. The client's exit code
   * says nothing: it is 0 as well when it gave up.
   */
  async result(): Promise<string | null> {
    await this.end;
    const response = existsSync(this.responseFile) ? readFileSync(this.responseFile) : Buffer.alloc(0);
    if (response.length !== RESPONSE_LENGTH) {
      return this.reason() ?? `${response.length} of ${RESPONSE_LENGTH} bytes arrived`;
    }
    const digest = createHash('sha256').update(response).digest('hex');
    return digest === streamDigest(this.options.seed, RESPONSE_LENGTH) ? null : 'wrong checksum';
  }

  /** What the server must have received when all went well: SHA-256 in hexadecimal. */
  get uploadDigest(): string {
    return streamDigest(this.options.seed, this.options.exchange === 'upload' ? UPLOAD_LENGTH : 0);
  }

  /** `ERR_IDLE_CLOSE` of `ngtcp2_conn_handle_expiry: ERR_IDLE_CLOSE`. */
  private reason(): string | null {
    const line = this.words.trim().split('\n').at(-1) ?? '';
    return /ERR_\w+/.exec(line)?.[0] ?? (line === '' ? null : line);
  }
}
