import { createServer } from 'node:http';
import { requestOverUnixSocket } from '../metrics.js';
import type { ConnectionReport } from './connection.js';
import type { Pace } from './narrow-link.js';

/** What a QUIC server tells, and is told, on its admin socket: on a path, reached from every network namespace. */

export interface QuicServerReport {
  readonly server: string;
  readonly connections: readonly ConnectionReport[];
  /** Datagrams that belong to no connection of this server and begin none, by the port they came to. */
  readonly strays: Readonly<Record<string, number>>;
}

export interface QuicServerAdmin {
  report(): QuicServerReport;
  setPace(pace: Pace): void;
}

const socketOf = (server: string): string => `/run/twohop/${server}.quic.sock`;

/** GET /: a {@link QuicServerReport} as JSON. PUT /slow, PUT /fast. Resolves when the socket answers. */
export function serveAdmin(server: string, admin: QuicServerAdmin): Promise<void> {
  const http = createServer((incoming, response) => {
    switch (`${incoming.method} ${incoming.url}`) {
      case 'GET /':
        response.setHeader('content-type', 'application/json');
        response.end(`${JSON.stringify(admin.report())}\n`);
        return;
      case 'PUT /slow':
        admin.setPace('slow');
        response.end();
        return;
      case 'PUT /fast':
        admin.setPace('fast');
        response.end();
        return;
      default:
        response.statusCode = 404;
        response.end('GET /, PUT /slow, PUT /fast\n');
    }
  });
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(socketOf(server), resolve);
  });
}

/** A server in the middle of handshakes may take its time. */
const ANSWER_MS = 15_000;

/** @throws Error when it does not answer */
export async function reportOf(server: string): Promise<QuicServerReport> {
  return JSON.parse(await ask(server, 'GET', '/')) as QuicServerReport;
}

/** @throws Error when it does not answer */
export async function setPace(server: string, pace: Pace): Promise<void> {
  await ask(server, 'PUT', `/${pace}`);
}

async function ask(server: string, method: 'GET' | 'PUT', path: string): Promise<string> {
  const options = { method, timeoutMs: ANSWER_MS };
  const { status, body } = await requestOverUnixSocket(socketOf(server), path, options);
  if (status !== 200) throw new Error(`${socketOf(server)}: ${method} ${path}: ${status} ${body.trim()}`);
  return body;
}
