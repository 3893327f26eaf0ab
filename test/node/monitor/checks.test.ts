import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CannotCheck, type CheckTarget, failure } from '../../../src/node/monitor/check.js';
import { httpCheck } from '../../../src/node/monitor/http.js';
import { scriptCheck } from '../../../src/node/monitor/script.js';
import { tcpCheck } from '../../../src/node/monitor/tcp.js';
import { waitUntil } from '../../../src/testbed/wait.js';

const HERE: CheckTarget = { name: 's1', dip: '127.0.0.1' };
const UP = { up: true, latency: expect.any(Number) };
const NEVER = new AbortController().signal;

const servers: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  servers.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function unusedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
});

describe('a connection that fails', () => {
  const errorOf = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

  it.each([
    ['ECONNREFUSED', 'connection refused'],
    ['EHOSTUNREACH', 'no route to the server'],
    // A router says so of a server that has left.
    ['ENETUNREACH', 'no route to the server'],
  ])("is the server's with %s", (code, why) => {
    expect(failure(errorOf(code))).toEqual({ up: false, why });
  });

  it.each(['EMFILE', 'EADDRNOTAVAIL', 'ENETDOWN'])("is this node's own with %s", (code) => {
    expect(() => failure(errorOf(code))).toThrow(CannotCheck);
  });
});

describe('a check by TCP', () => {
  it('is up when the connection is taken, and closes it', async () => {
    const server = createServer();
    const port = await listen(server);
    expect(await tcpCheck({ port, timeout_seconds: 5 })(HERE, NEVER)).toEqual(UP);
    const { sockets } = servers[0];
    for (const socket of sockets) socket.resume();
    await waitUntil('the connection to be closed', async () => sockets.size === 0);
  });

  it('is down when nobody listens', async () => {
    const port = await unusedPort();
    const outcome = await tcpCheck({ port, timeout_seconds: 5 })(HERE, NEVER);
    expect(outcome).toEqual({ up: false, why: 'connection refused' });
  });

  it('ends when it is stopped', async () => {
    const stop = new AbortController();
    stop.abort();
    const outcome = await tcpCheck({ port: await unusedPort(), timeout_seconds: 5 })(HERE, stop.signal);
    expect(outcome.up).toBe(false);
  });
});

describe('a check by HTTP', () => {
  const check = async (listener: RequestListener, settings: { host?: string; expect?: number[] } = {}) => {
    const port = await listen(createHttpServer(listener));
    return httpCheck({ port, path: '/health?deep', timeout_seconds: 5, ...settings })(HERE, NEVER);
  };

  it('asks the DIP for the path, with the configured host, on a connection of its own', async () => {
    const seen: unknown[] = [];
    const outcome = await check(
      (request, response) => {
        seen.push(request.method, request.url, request.headers.host, request.headers.connection);
        response.end('fine');
      },
      { host: 'www.example.com' },
    );
    expect(outcome).toEqual(UP);
    expect(seen).toEqual(['GET', '/health?deep', 'www.example.com', 'close']);
  });

  it('is up by the status: 200 to 299, or those that are expected', async () => {
    const answer = (status: number, expected?: number[]) =>
      check(
        (_, response) => response.writeHead(status).end(),
        expected === undefined ? {} : { expect: expected },
      );
    expect(await answer(204)).toEqual(UP);
    expect(await answer(503)).toEqual({ up: false, why: 'HTTP 503' });
    expect(await answer(301)).toEqual({ up: false, why: 'HTTP 301' });
    expect(await answer(301, [301, 302])).toEqual(UP);
    expect(await answer(200, [204])).toEqual({ up: false, why: 'HTTP 200' });
  });

  it('does not read an endless body to its end', async () => {
    const outcome = await check((_, response) => {
      const more = () => {
        while (response.write('x'.repeat(16_384)));
      };
      response.on('drain', more);
      more();
    });
    expect(outcome).toEqual(UP);
  });

  it('is down when no answer, or not all of it, comes in time', async () => {
    const silent = await listen(createHttpServer(() => {}));
    const half = await listen(createHttpServer((_, response) => response.write('a')));
    const after = { up: false, why: 'no answer in 0.2 s' };
    for (const port of [silent, half]) {
      expect(await httpCheck({ port, path: '/', timeout_seconds: 0.2 })(HERE, NEVER)).toEqual(after);
    }
  });

  it('is down when the connection is refused, cut, or speaks something else', async () => {
    const ask = (port: number) => httpCheck({ port, path: '/', timeout_seconds: 5 })(HERE, NEVER);
    expect(await ask(await unusedPort())).toEqual({ up: false, why: 'connection refused' });
    const closing = createServer((socket) => socket.once('data', () => socket.end()));
    expect(await ask(await listen(closing))).toEqual({
      up: false,
      why: 'connection closed without an answer',
    });
    const resetting = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await ask(await listen(resetting))).toEqual({ up: false, why: 'connection reset' });
    const cut = createServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')),
    );
    expect(await ask(await listen(cut))).toEqual({ up: false, why: 'the answer was cut off' });
    const other = createServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
    const outcome = await ask(await listen(other));
    expect(outcome).toEqual({ up: false, why: expect.stringMatching(/^no HTTP: /) });
  });
});

describe('a check by a script', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-script-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const run = (command: string[], timeout_seconds = 20, stop = NEVER) =>
    scriptCheck({ command, timeout_seconds })(HERE, stop);
  const sh = (script: string, ...rest: Parameters<typeof run> extends [unknown, ...infer R] ? R : never) =>
    run(['sh', '-c', script, 'sh', directory], ...rest);
  const isGone = (pid: number) => {
    try {
      // A zombie that nobody reaps is as good as gone.
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.startsWith('Z') ?? true;
    } catch {
      return true;
    }
  };
  const pidIn = (file: string) => {
    try {
      return Number(readFileSync(join(directory, file), 'utf8'));
    } catch {
      return 0;
    }
  };

  it('is up by exit code 0, and replaces the name and the DIP in its arguments', async () => {
    expect(
      await run(['sh', '-c', 'test "$1 $2" = "s1:{x} at 127.0.0.1"', 'sh', '{name}:{x}', 'at {dip}']),
    ).toEqual(UP);
  });

  it('is down by any other, and says what the command said first, errors before the rest', async () => {
    expect(await sh('exit 3')).toEqual({ up: false, why: 'exit code 3' });
    expect(await sh('echo one; echo two >&2; echo three >&2; exit 1')).toEqual({
      up: false,
      why: 'exit code 1: two',
    });
    expect(await sh('echo only; kill -TERM $$')).toEqual({ up: false, why: 'killed by SIGTERM: only' });
  });

  it('bounds what it keeps of what the command says', async () => {
    const outcome = await sh('head -c 5000000 /dev/zero | tr "\\0" x; exit 1');
    expect(outcome).toEqual({ up: false, why: `exit code 1: ${'x'.repeat(200)}...` });
  });

  it('cannot be made where there is no such program: that says nothing of the server', async () => {
    await expect(run([join(directory, 'missing')])).rejects.toThrow(CannotCheck);
    await expect(run([join(directory, 'missing')])).rejects.toThrow('cannot be run');
  });

  it('kills the command and its children when its time is over', async () => {
    const outcome = await sh('sleep 1000 & echo $! > "$1/child"; echo $$ > "$1/self"; wait', 2);
    expect(outcome).toEqual({ up: false, why: 'no answer in 2 s' });
    const pids = [pidIn('self'), pidIn('child')];
    expect(pids.every((pid) => pid > 0)).toBe(true);
    await waitUntil('both to be gone', async () => pids.every(isGone));
  });

  it('kills what the command left behind, and does not wait for it', async () => {
    expect(await sh('sleep 1000 & echo $! > "$1/child"')).toEqual(UP);
    await waitUntil('the child to be gone', async () => isGone(pidIn('child')));
  });

  it('ends when it is stopped', async () => {
    const stop = new AbortController();
    const outcome = sh('echo $$ > "$1/self"; sleep 1000', 1000, stop.signal);
    await waitUntil('it to run', async () => pidIn('self') > 0);
    stop.abort();
    expect((await outcome).up).toBe(false);
    await waitUntil('it to be gone', async () => isGone(pidIn('self')));
  });
});
