import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService } from '../../src/testbed/service.js';
import { PseudoRandomStream, streamDigest } from '../../src/testbed/stream.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('pseudo-random stream', () => {
  it('is the same however it is cut', () => {
    const whole = new PseudoRandomStream(7).next(100_000);
    const cut = new PseudoRandomStream(7);
    const parts = [1, 31, 32 * 1024, 5, 67_195].map((length) => cut.next(length));
    expect(Buffer.concat(parts).equals(whole)).toBe(true);
    expect(streamDigest(7, 100_000)).toBe(sha256(whole));
  });

  it('differs between seeds from the first bytes on', () => {
    expect(new PseudoRandomStream(1).next(16)).not.toEqual(new PseudoRandomStream(2).next(16));
  });
});

describe('service', () => {
  let servers: Server[] = [];
  let base = '';

  beforeAll(async () => {
    servers = await startService('s7', [0]);
    base = `http://127.0.0.1:${(servers[0].address() as AddressInfo).port}`;
  });

  afterAll(() => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  it('answers with its name, over both families', async () => {
    const response = await fetch(base);
    expect(response.headers.get('x-server')).toBe('s7');
    expect(await response.text()).toBe('s7\n');
    const six = `http://[::1]:${(servers[1].address() as AddressInfo).port}`;
    expect(await (await fetch(six)).text()).toBe('s7\n');
  });

  it('streams what was asked for', async () => {
    const response = await fetch(`${base}/download?bytes=200000&seed=3`);
    expect(response.headers.get('content-length')).toBe('200000');
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(streamDigest(3, 200_000));
  });

  it('streams the same at a rate', async () => {
    const response = await fetch(`${base}/download?bytes=5000&seed=4&rate=20000`);
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(streamDigest(4, 5000));
  });

  it.each(['PUT', 'POST'])('gives a receipt for %s /upload', async (method) => {
    const body = new PseudoRandomStream(9).next(150_000);
    const response = await fetch(`${base}/upload`, { method, body });
    expect(await response.json()).toEqual({ bytes: 150_000, sha256: sha256(body) });
  });

  it('refuses what it does not know', async () => {
    expect((await fetch(`${base}/download?bytes=many`)).status).toBe(400);
    const unknown = await fetch(`${base}/nothing`);
    expect(unknown.status).toBe(404);
    expect(await unknown.text()).toContain('GET /download');
  });
});
