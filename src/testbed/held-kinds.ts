import { createHash } from 'node:crypto';
import { Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Endpoint, HeldKind } from './client-protocol.js';
import { type Exchange, exchangeHeads, HeldConnection, type Pace, reasonOf } from './held-connection.js';
import type { UploadReceipt } from './service.js';
import { BLOCK, PseudoRandomStream, streamDigest } from './stream.js';

/** The kinds of connections that a client can hold. */

/** @param bytes what a transfer carries; ignored for an idle connection */
export function makeHeld(
  kind: HeldKind,
  id: number,
  remote: Endpoint,
  bytes: number,
  pace?: Pace,
): HeldConnection {
  switch (kind) {
    case 'download':
      return new Download(id, remote, bytes, pace);
    case 'upload':
      return new Upload(id, remote, bytes, pace);
    case 'idle':
      return new Idle(id, remote, 0);
  }
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
        this.write(this.pace.bytes);
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

function parseReceipt(text: string): UploadReceipt | null {
  try {
    return JSON.parse(text) as UploadReceipt;
  } catch {
    return null;
  }
}
