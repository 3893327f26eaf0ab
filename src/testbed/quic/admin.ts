import { createServer, request } from 'node:http';
import { getOverUnixSocket } from '../metrics.js';
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

/** @throws Error when it does not answer */
export async function reportOf(server: string): Promise<QuicServerReport> {
  const { body } = await getOverUnixSocket(socketOf(server), '/');
  return JSON.parse(body) as QuicServerReport;
}

/** @throws Error when it does not answer */
export function setPace(server: string, pace: Pace): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath: socketOf(server), method: 'PUT', path: `/${pace}`, agent: false },
      (response) => response.on('end', resolve).resume(),
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}
