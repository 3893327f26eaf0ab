import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HELD_KINDS, type HeldKind } from '../../src/testbed/client-protocol.js';
import { makeHeld } from '../../src/testbed/held-kinds.js';
import { startService } from '../../src/testbed/service.js';
import { until } from './support.js';

const BYTES = 400_000;
const STALL_MS = 5000;
const running: Server[] = [];

const at = (server: Server) => ({
  address: '127.0.0.1',
  port: (server.address() as AddressInfo).port,
});

async function service(): Promise<Server> {
  const servers = await startService('s1', [0]);
  running.push(...servers);
  return servers[0];
}

/** A service that is not as it should be. */
async function oddService(listener: RequestListener): Promise<Server> {
  const server = createServer((request, response) => {
    response.setHeader('x-server', 's1');
    listener(request, response);
  });
  running.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function socketsOf(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
}

afterEach(() => {
  for (const server of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

describe('held connection', () => {
  it.each(HELD_KINDS)('%s: is up, lives on, and completes', async (kind) => {
    const server = await service();
    const connection = makeHeld(kind, 3, at(server), BYTES);
    const held = await connection.open();
    expect(held).toMatchObject({ id: 3, kind, server: 's1', remote: at(server) });
    expect(held.local.port).toBeGreaterThan(0);
    if (kind !== 'idle') {
      await until(() => connection.progress().bytes > 0);
      expect(connection.progress()).toMatchObject({ total: BYTES, broken: null });
      expect(connection.progress().bytes).toBeLessThan(BYTES);
    }
    expect(await connection.finish(STALL_MS)).toEqual({ ...held, broken: null });
    if (kind !== 'idle') expect(connection.progress().bytes).toBe(BYTES);
  });

  it('upload: a reset while it is held breaks it at once', async () => {
    const server = await service();
    const sockets = socketsOf(server);
    const connection = makeHeld('upload', 1, at(server), BYTES);
    await connection.open();
    for (const socket of sockets) socket.resetAndDestroy();
    await until(() => connection.progress().broken !== null);
    expect((await connection.finish(STALL_MS)).broken).toMatch(/ECONNRESET|EPIPE/);
  });

  it('download: a reset while it is held breaks it, once what had arrived is read', async () => {
    const server = await service();
    const sockets = socketsOf(server);
    // More than the kernel's buffers take in while nobody reads.
    const connection = makeHeld('download', 1, at(server), 50_000_000);
    await connection.open();
    for (const socket of sockets) socket.resetAndDestroy();
    expect((await connection.finish(STALL_MS)).broken).toBe('ECONNRESET');
  });

  it('idle: a reset breaks it at once, and no new connection is made in its place', async () => {
    const server = await service();
    const sockets = socketsOf(server);
    const connection = makeHeld('idle', 1, at(server), 0);
    await connection.open();
    for (const socket of sockets) socket.resetAndDestroy();
    await until(() => connection.progress().broken !== null);
    expect((await connection.finish(STALL_MS)).broken).toMatch(/closed while it was idle|ECONNRESET/);
    expect(sockets.size).toBe(0);
  });

  it('idle: an answer from another server counts as broken', async () => {
    let answers = 0;
    const server = await oddService((_, response) => {
      answers++;
      response.setHeader('x-server', `s${answers}`);
      response.end();
    });
    const connection = makeHeld('idle', 1, at(server), 0);
    await connection.open();
    expect((await connection.finish(STALL_MS)).broken).toContain('answered by s2');
  });

  it('download: notices wrong bytes and missing ones', async () => {
    const wrong = await oddService((_, response) => response.end(Buffer.alloc(BYTES)));
    const download = makeHeld('download', 1, at(wrong), BYTES);
    await download.open();
    expect((await download.finish(STALL_MS)).broken).toBe('wrong checksum');

    const short = await oddService((_, response) => response.end(Buffer.alloc(BYTES - 1)));
    const cut = makeHeld('download', 1, at(short), BYTES);
    await cut.open();
    expect((await cut.finish(STALL_MS)).broken).toBe(`${BYTES - 1} of ${BYTES} bytes arrived`);
  });

  it('upload: notices a wrong receipt', async () => {
    const server = await oddService((request, response) => {
      response.flushHeaders();
      request.resume().on('end', () => response.end(JSON.stringify({ bytes: BYTES, sha256: 'other' })));
    });
    const upload = makeHeld('upload', 1, at(server), BYTES);
    await upload.open();
    expect((await upload.finish(STALL_MS)).broken).toBe('wrong checksum');
  });

  it.each<HeldKind>(['download', 'idle'])('%s: gives up when nothing moves', async (kind) => {
    let requests = 0;
    const server = await oddService((_, response) => {
      requests++;
      if (kind === 'download') response.writeHead(200, { 'content-length': BYTES }).flushHeaders();
      else if (requests === 1) response.end();
    });
    const connection = makeHeld(kind, 1, at(server), BYTES);
    await connection.open();
    expect((await connection.finish(50)).broken).toContain('nothing moved');
  });

  it('does not come up where nobody listens', async () => {
    const server = await service();
    const gone = at(server);
    server.close();
    await expect(makeHeld('idle', 1, gone, 0).open()).rejects.toThrow(/ECONNREFUSED/);
  });
});
