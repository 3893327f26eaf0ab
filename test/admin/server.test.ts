import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AdminServer, parseAdminAddress } from '../../src/admin/server.js';

let directory = '';
let path = '';
let ok = true;
let server: AdminServer;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-admin-'));
  path = join(directory, 'deeper', 's1.sock');
  ok = true;
  server = new AdminServer(
    () => Promise.resolve({ text: 'twohop_up 1\n', contentType: 'text/plain; version=0.0.4' }),
    () => ({ ok, detail: { server: 's1' } }),
  );
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

function get(url: string, method = 'GET'): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath: path, path: url, method }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part) => {
        body += part;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body, type: response.headers['content-type'] ?? '' });
      });
    });
    ask.on('error', reject).end();
  });
}

describe('admin server', () => {
  it('answers /metrics and /healthz on a unix socket, and removes it', async () => {
    await server.listen({ kind: 'unix', path });
    expect(await get('/metrics')).toMatchObject({
      status: 200,
      body: 'twohop_up 1\n',
      type: /version=0\.0\.4/,
    });
    expect(JSON.parse((await get('/healthz')).body)).toEqual({ status: 'ok', server: 's1' });
    ok = false;
    expect(await get('/healthz')).toMatchObject({ status: 503 });
    expect((await get('/nothing')).status).toBe(404);
    expect((await get('/metrics', 'POST')).status).toBe(405);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  it('takes over a socket file that nobody answers on, and no other', async () => {
    await server.listen({ kind: 'unix', path });
    const second = new AdminServer(
      () => Promise.resolve({ text: '', contentType: '' }),
      () => ({ ok: true, detail: {} }),
    );
    await expect(second.listen({ kind: 'unix', path })).rejects.toThrow('another process listens there');
    await server.close();
    // A file that a killed process left: bound, and closed without being unlinked.
    const dead = createServer();
    await new Promise<void>((resolve) => {
      dead.listen({ path: join(directory, 'dead.sock') }, resolve);
    });
    await second.listen({ kind: 'unix', path });
    expect((await get('/healthz')).status).toBe(200);
    await second.close();
    dead.close();
  });

  it('names an address that is taken', async () => {
    await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 39_471 });
    await expect(server.listen({ kind: 'tcp', host: '127.0.0.1', port: 39_471 })).rejects.toThrow(
      /admin 127\.0\.0\.1:39471: .*EADDRINUSE/,
    );
  });

  it.each([
    ['127.0.0.1:9090', { kind: 'tcp', host: '127.0.0.1', port: 9090 }],
    ['[2001:db8::1]:80', { kind: 'tcp', host: '2001:db8::1', port: 80 }],
    ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
    ['unix:relative', undefined],
    ['9090', undefined],
    ['host:70000', undefined],
  ])('reads %s', (text, expected) => {
    expect(parseAdminAddress(text)).toEqual(expected);
  });
});
