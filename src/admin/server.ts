import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/** One place where a node or conductor answers HTTP: `host:port`, `[v6]:port` or `unix:/path`. */
export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface Health {
  readonly ok: boolean;
  /** Shown as JSON. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** `undefined` when the text is no address. */
export function parseAdminAddress(text: string): AdminAddress | undefined {
  if (text.startsWith('unix:/')) return { kind: 'unix', path: text.slice('unix:'.length) };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > 65535) return undefined;
  return { kind: 'tcp', host: match[1] ?? match[2], port };
}

/** An address that could not be listened on. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
}

/** Serves `/metrics` (Prometheus text format) and `/healthz` (JSON; 503 when not healthy). */
export class AdminServer {
  private readonly servers: Server[] = [];
  private readonly sockets: string[] = [];

  constructor(
    private readonly metrics: () => Promise<{ text: string; contentType: string }>,
    private readonly health: () => Health,
  ) {}

  /** @throws AdminError when the address is taken or not of this machine */
  async listen(address: AdminAddress): Promise<void> {
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://admin').pathname;
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      } else if (path === '/healthz') {
        const health = this.health();
        response.writeHead(health.ok ? 200 : 503, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify({ status: health.ok ? 'ok' : 'unhealthy', ...health.detail })}\n`);
      } else if (path === '/metrics') {
        this.metrics().then(
          ({ text, contentType }) => response.writeHead(200, { 'content-type': contentType }).end(text),
          (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
        );
      } else {
        response.writeHead(404).end('there are /metrics and /healthz\n');
      }
    });
    if (address.kind === 'unix') {
      mkdirSync(dirname(address.path), { recursive: true });
      await removeStale(address.path);
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new AdminError(`admin ${describe(address)}: ${error.message}`)));
      if (address.kind === 'unix') server.listen(address.path, resolve);
      else server.listen(address.port, address.host, resolve);
    });
    if (address.kind === 'unix') {
      chmodSync(address.path, 0o660);
      this.sockets.push(address.path);
    }
    this.servers.push(server);
  }

  async close(): Promise<void> {
    await Promise.all(
      this.servers.splice(0).map((server) => {
        server.closeAllConnections();
        return new Promise<void>((resolve) => server.close(() => resolve()));
      }),
    );
    for (const path of this.sockets.splice(0)) rmSync(path, { force: true });
  }
}

function describe(address: AdminAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

/** A socket file that nobody answers on was left by a process that died. */
async function removeStale(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive)
    throw new AdminError(`admin unix:${path}: another process listens there; stop it or choose another path`);
  rmSync(path, { force: true });
}
