import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE_PORTS } from './addresses.js';
import { writeJsonLine } from './json-lines.js';
import { BLOCK, PseudoRandomStream } from './stream.js';

/**
 * The service behind the VIPs: plain HTTP that knows nothing of the load balancer. It listens on every address,
 * tells in `x-server` which server answered, and keeps connections open for as long as the client likes.
 *
 *   GET  /                                   the server's name
 *   GET  /download?bytes=N&seed=S&rate=R     N pseudo-random bytes (see stream.ts), R bytes per second at most
 *   PUT  /upload, POST /upload               JSON: how many bytes arrived, and their SHA-256
 */

/** What PUT /upload answers. */
export interface UploadReceipt {
  readonly bytes: number;
  readonly sha256: string;
}

/** Answers a request that the service itself does not know. @returns false to leave it */
export type MoreAnswers = (url: URL, response: ServerResponse) => boolean;

/** Starts listening on `ports` of all addresses of both families; resolves when connections are taken. */
export async function startService(
  name: string,
  ports: readonly number[] = SERVICE_PORTS,
  more: MoreAnswers = () => false,
): Promise<Server[]> {
  return Promise.all(
    ports.flatMap((port) =>
      serviceAddresses(port).map((address) => {
        const server = makeServer(name, more);
        return listen(server, address).then(() => server);
      }),
    ),
  );
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly ipv6Only?: boolean;
}

function serviceAddresses(port: number): readonly ListenAddress[] {
  return [
    { host: '0.0.0.0', port },
    { host: '::', port, ipv6Only: true },
  ];
}

/** Resolves when connections are taken. */
export function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function makeServer(name: string, more: MoreAnswers): Server {
  const server = createServer((request, response) => {
    response.setHeader('x-server', name);
    answer(name, request, response, more).catch(() => {
      // The client went away in the middle: its side of the story is the one that counts.
      response.destroy();
    });
  });
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  return server;
}

async function answer(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
  more: MoreAnswers,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://vip');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      response.end(`${name}\n`);
      return;
    case 'GET /download':
      return download(url.searchParams, response);
    case 'PUT /upload':
    case 'POST /upload':
      return upload(request, response);
    default:
      if (more(url, response)) return;
      response.statusCode = 404;
      response.end('GET /, GET /download?bytes=N&seed=S&rate=R, PUT /upload\n');
  }
}

async function download(query: URLSearchParams, response: ServerResponse): Promise<void> {
  const bytes = wholeNumber(query, 'bytes', 1 << 20);
  const seed = wholeNumber(query, 'seed', 0);
  const rate = wholeNumber(query, 'rate', 0);
  if (bytes === undefined || seed === undefined || rate === undefined) {
    response.statusCode = 400;
    response.end('bytes, seed and rate are whole numbers\n');
    return;
  }
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('content-length', bytes);
  await pipeline(Readable.from(pieces(bytes, seed, rate), { objectMode: false }), response);
}

/** Pieces per second of a download with a rate. */
const PIECES_PER_SECOND = 20;

async function* pieces(bytes: number, seed: number, rate: number): AsyncGenerator<Buffer> {
  const stream = new PseudoRandomStream(seed);
  const size = rate === 0 ? BLOCK : Math.max(1, Math.ceil(rate / PIECES_PER_SECOND));
  for (let left = bytes; left > 0; left -= size) {
    yield stream.next(Math.min(left, size));
    if (rate > 0) await sleep(1000 / PIECES_PER_SECOND);
  }
}

async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  // The head goes out at once: a slow uploader learns with whom it speaks before it has finished.
  response.setHeader('content-type', 'application/json');
  response.flushHeaders();
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const receipt: UploadReceipt = { bytes, sha256: hash.digest('hex') };
  response.end(`${JSON.stringify(receipt)}\n`);
}

function wholeNumber(query: URLSearchParams, name: string, otherwise: number): number | undefined {
  const text = query.get(name);
  if (text === null) return otherwise;
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

/** The service's process: says when it is ready, and goes on until it is killed. */
export async function serveUntilKilled(name: string): Promise<void> {
  await startService(name);
  writeJsonLine(process.stdout, { ready: name });
}
