import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Endpoint, Held, HeldKind, HeldProgress, Outcome, Tuple } from './client-protocol.js';

/**
 * A connection that lives through a change of the data center: opened before it, carried along slowly, and brought
 * to its end after it. Whatever goes wrong on the way is kept as the reason why it broke.
 */

/** While held, a transfer moves so many bytes every so often: few enough to last, and always in progress. */
export interface Pace {
  readonly everyMs: number;
  readonly bytes: number;
}

export const DEFAULT_PACE: Pace = { everyMs: 50, bytes: 4096 };

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
    protected readonly pace: Pace = DEFAULT_PACE,
  ) {}

  /** Resolves when the connection is up and its server known. @throws Error when it does not come up */
  async open(): Promise<Held> {
    const { response, request } = await this.begin();
    const server = response.headers['x-server'];
    if (typeof server !== 'string') throw new Error(`no x-server in the answer of ${this.remote.address}`);
    this.held = { id: this.id, kind: this.kind, server, ...tupleOf(request.socket) };
    this.tick = setInterval(() => {
      // The last byte is kept for `complete`: a transfer must not end while it is held.
      const spare = Math.min(this.pace.bytes, this.total - this.bytes - 1);
      if (spare > 0) this.move(spare);
    }, this.pace.everyMs);
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

/** A request, and the head of its response. */
export interface Exchange {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
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

/**
 * Makes a request; resolves when the head of its response has come.
 * @param send writes the body, or the first of it
 * @param later is told what goes wrong afterwards
 */
export function exchangeHeads(
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
