import { createHash } from 'node:crypto';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Endpoint, Held, HeldKind, HeldProgress, Outcome, Tuple } from './client-protocol.js';
import type { UploadReceipt } from './service.js';
import { BLOCK, PseudoRandomStream, streamDigest } from './stream.js';

/**
 * A connection that lives through a change of the data center: opened before it, carried along slowly, and brought
 * to its end after it. Whatever goes wrong on the way is kept as the reason why it broke.
 */

/** While held, a transfer moves this much per tick: little enough to last, steadily enough to be in progress. */
const TICK_MS = 50;
const BYTES_PER_TICK = 4096;

/** How long opening may take. */
const OPEN_MS = 10_000;

export abstract class HeldConnection {
  abstract readonly kind: HeldKind;
  protected bytes = 0;
  protected broken: string | null = null;
  private held: Held | null = null;
  private tick: NodeJS.Timeout | null = null;
  private settle: (() => void) | null = null;

  constructor(
    readonly id: number,
    protected readonly remote: Endpoint,
    protected readonly total: number,
  ) {}

  /** Resolves when the connection is up and its server known. @throws Error when it does not come up */
  async open(): Promise<Held> {
    const { response, request } = await this.begin();
    const server = response.headers['x-server'];
    if (typeof server !== 'string') throw new Error(`no x-server in the answer of ${this.remote.address}`);
    this.held = { id: this.id, kind: this.kind, server, ...tupleOf(request.socket) };
    this.tick = setInterval(() => {
      // The last byte is kept for `complete`: a transfer must not end while it is held.
      const spare = Math.min(BYTES_PER_TICK, this.total - this.bytes - 1);
      if (spare > 0) this.move(spare);
    }, TICK_MS);
    return this.held;
  }

  /** Who serves it; empty before it is up. */
  get server(): string {
    return this.held?.server ?? '';
  }

  progress(): HeldProgress {
    return { id: this.id, bytes: this.bytes, total: this.total, broken: this.broken };
  }

  /** Runs to the end as fast as the network allows. @param stallMs how long nothing may move */
  async finish(stallMs: number): Promise<Outcome> {
    if (this.held === null) throw new Error('finish before open');
    this.stopTicking();
    const stalled = this.watchForStalls(stallMs);
    await new Promise<void>((resolve) => {
      this.settle = resolve;
      if (this.broken !== null) resolve();
      else this.complete();
    });
    clearInterval(stalled);
    this.close();
    return { ...this.held, broken: this.broken };
  }

  /** Sends the request; resolves with the head of the response. */
  protected abstract begin(): Promise<Exchange>;
  /** Moves up to `bytes` bytes, if the connection can. */
  protected abstract move(bytes: number): void;
  /** Goes on to the end, and calls `done` or `fail`. */
  protected abstract complete(): void;
  protected abstract close(): void;

  protected done(): void {
    this.stopTicking();
    this.settle?.();
  }

  /** The first reason counts; what follows is its consequence. */
  protected fail(reason: string): void {
    this.broken ??= reason;
    this.done();
  }

  private stopTicking(): void {
    if (this.tick !== null) clearInterval(this.tick);
    this.tick = null;
  }

  private watchForStalls(stallMs: number): NodeJS.Timeout {
    let before = this.bytes;
    return setInterval(() => {
      if (this.bytes === before) this.fail(`nothing moved for ${stallMs} ms at byte ${this.bytes}`);
      before = this.bytes;
    }, stallMs);
  }
}

interface Exchange {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
}

class Download extends HeldConnection {
  readonly kind = 'download';
  private readonly agent = new Agent();
  private readonly hash = createHash('sha256');
  private response: IncomingMessage | null = null;

  protected async begin(): Promise<Exchange> {
    const exchange = await exchangeHeads(
      { agent: this.agent, remote: this.remote, path: `/download?bytes=${this.total}&seed=${this.id}` },
      (request) => request.end(),
      (reason) => this.fail(reason),
    );
    const { response } = exchange;
    this.response = response;
    response.on('error', (error) => this.fail(reasonOf(error)));
    return exchange;
  }

  protected move(bytes: number): void {
    const ready = Math.min(bytes, this.response?.readableLength ?? 0);
    // read(0) asks for more: without it an empty buffer would stay empty.
    const chunk = this.response?.read(ready) as Buffer | null;
    if (chunk !== null) this.take(chunk);
  }

  protected complete(): void {
    const response = this.response;
    if (response === null) return;
    response.on('data', (chunk: Buffer) => this.take(chunk));
    response.on('end', () => {
      if (this.bytes !== this.total) this.fail(`${this.bytes} of ${this.total} bytes arrived`);
      else if (this.hash.digest('hex') !== streamDigest(this.id, this.total)) this.fail('wrong checksum');
      else this.done();
    });
    response.resume();
  }

  protected close(): void {
    this.agent.destroy();
  }

  private take(chunk: Buffer): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
  }
}

class Upload extends HeldConnection {
  readonly kind = 'upload';
  private readonly agent = new Agent();
  private readonly stream = new PseudoRandomStream(this.id);
  private request: ClientRequest | null = null;
  private response: IncomingMessage | null = null;

  protected async begin(): Promise<Exchange> {
    const exchange = await exchangeHeads(
      {
        agent: this.agent,
        remote: this.remote,
        path: '/upload',
        method: 'PUT',
        headers: { 'content-length': this.total },
      },
      (request) => {
        this.request = request;
        this.write(BYTES_PER_TICK);
      },
      (reason) => this.fail(reason),
    );
    this.response = exchange.response;
    exchange.response.on('error', (error) => this.fail(reasonOf(error)));
    return exchange;
  }

  protected move(bytes: number): void {
    if (this.request?.writableNeedDrain === false) this.write(bytes);
  }

  protected complete(): void {
    const request = this.request;
    const response = this.response;
    if (request === null || response === null) return;
    const pump = (): void => {
      while (this.bytes < this.total) {
        if (!this.write(BLOCK)) {
          request.once('drain', pump);
          return;
        }
      }
      request.end();
    };
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.on('end', () => this.judge(text));
    pump();
  }

  protected close(): void {
    this.agent.destroy();
  }

  /** @returns false when the socket wants no more for now */
  private write(bytes: number): boolean {
    const size = Math.min(bytes, this.total - this.bytes);
    this.bytes += size;
    return this.request?.write(this.stream.next(size)) ?? false;
  }

  private judge(text: string): void {
    const receipt = parseReceipt(text);
    if (receipt === null) this.fail(`no receipt: ${text.slice(0, 100)}`);
    else if (receipt.bytes !== this.total) this.fail(`${receipt.bytes} of ${this.total} bytes arrived`);
    else if (receipt.sha256 !== streamDigest(this.id, this.total)) this.fail('wrong checksum');
    else this.done();
  }
}

class Idle extends HeldConnection {
  readonly kind = 'idle';
  // No TCP keep-alive probes (a second's silence is the agent's default): idle is the point.
  private readonly agent = new Agent({ keepAlive: true, keepAliveMsecs: 3_600_000, maxSockets: 1 });
  private socket: Socket | null = null;
  private readonly onClose = (): void => this.fail('closed while it was idle');

  protected async begin(): Promise<Exchange> {
    const exchange = await this.ask();
    exchange.response.resume();
    this.socket = exchange.request.socket;
    this.socket?.once('close', this.onClose);
    return exchange;
  }

  protected move(): void {
    // Nothing to move.
  }

  protected complete(): void {
    this.ask().then(
      ({ request, response }) => {
        response.resume();
        const server = response.headers['x-server'];
        // Not even for a moment may a new connection stand in for the old one.
        if (request.socket !== this.socket) this.fail('closed while it was idle');
        else if (server !== this.server) this.fail(`answered by ${server} in the middle of a connection`);
        else response.on('end', () => this.done());
      },
      (error) => this.fail(reasonOf(error)),
    );
  }

  protected close(): void {
    this.socket?.off('close', this.onClose);
    this.agent.destroy();
  }

  private ask(): Promise<Exchange> {
    return exchangeHeads(
      { agent: this.agent, remote: this.remote, path: '/' },
      (request) => request.end(),
      (reason) => this.fail(reason),
    );
  }
}

export function makeHeld(kind: HeldKind, id: number, remote: Endpoint, bytes: number): HeldConnection {
  switch (kind) {
    case 'download':
      return new Download(id, remote, bytes);
    case 'upload':
      return new Upload(id, remote, bytes);
    case 'idle':
      return new Idle(id, remote, 0);
  }
}

/** The 4-tuple of a connected socket. */
export function tupleOf(socket: Socket | null): Tuple {
  return {
    local: { address: socket?.localAddress ?? '', port: socket?.localPort ?? 0 },
    remote: { address: socket?.remoteAddress ?? '', port: socket?.remotePort ?? 0 },
  };
}

/** Short, so that equal reasons can be counted: `ECONNRESET`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

/** @param later what goes wrong after the head of the response has come */
function exchangeHeads(
  options: {
    readonly agent: Agent;
    readonly remote: Endpoint;
    readonly path: string;
    readonly method?: string;
    readonly headers?: Record<string, string | number>;
  },
  send: (request: ClientRequest) => void,
  later: (reason: string) => void,
): Promise<Exchange> {
  const { remote, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...rest, host: remote.address, port: remote.port });
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${OPEN_MS} ms`)), OPEN_MS);
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
      later(reasonOf(error));
    });
    request.on('response', (response) => {
      clearTimeout(timer);
      resolve({ request, response });
    });
    send(request);
  });
}

function parseReceipt(text: string): UploadReceipt | null {
  try {
    return JSON.parse(text) as UploadReceipt;
  } catch {
    return null;
  }
}
