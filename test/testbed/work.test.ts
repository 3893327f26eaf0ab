import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { WorkDone } from '../../src/testbed/client-protocol.js';
import { WorkService } from '../../src/testbed/control/work-service.js';
import { WorkLoad } from '../../src/testbed/work-load.js';
import { until } from './support.js';

const PORTS = { first: 21_000, count: 8 };

let service: WorkService;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await service.turn('deaf');
});

/** @returns the service's first port, and the clients' ports as they come */
async function start(): Promise<{ port: number; seen: number[] }> {
  service = await WorkService.start('s7', [0]);
  const seen: number[] = [];
  service.servers[0].on('connection', ({ remotePort = 0 }) => seen.push(remotePort));
  return { port: (service.servers[0].address() as AddressInfo).port, seen };
}

const loadOn = (port: number, iterations = 10): WorkLoad =>
  new WorkLoad({
    perSecond: 200,
    targets: [{ address: '127.0.0.1', port }],
    ports: PORTS,
    iterations,
    timeoutMs: 5000,
  });

/** What comes of requests until so many have ended. */
async function requests(port: number, count: number, iterations?: number): Promise<WorkDone[]> {
  const load = loadOn(port, iterations);
  const done: WorkDone[] = [];
  await until(() => done.push(...load.take()) >= count);
  return [...done, ...(await load.stop())];
}

describe('a load of work', () => {
  it('goes round in the same ports again and again, and every request is answered', async () => {
    const { port, seen } = await start();
    const done = await requests(port, 4 * PORTS.count);
    expect(done.filter(({ error }) => error !== null)).toEqual([]);
    expect(done.every(({ server, begun, ended }) => server === 's7' && ended > begun)).toBe(true);
    expect(seen.length).toBeGreaterThanOrEqual(4 * PORTS.count);
    expect([...new Set(seen)].sort()).toEqual([...Array(PORTS.count).keys()].map((n) => PORTS.first + n));
  });

  it('tells who does not answer, and who refuses', async () => {
    const { port } = await start();
    await service.turn('failing');
    const refused = await requests(port, 3);
    expect(new Set(refused.map(({ server, error }) => `${server} ${error}`))).toEqual(
      new Set(['s7 HTTP 503']),
    );
    await service.turn('deaf');
    const unheard = await requests(port, 3);
    expect(new Set(unheard.map(({ server, error }) => `${server} ${error}`))).toEqual(
      new Set(['null ECONNREFUSED']),
    );
    await service.turn('well');
    expect((await requests(port, 3)).map(({ error }) => error)).not.toContain('ECONNREFUSED');
  });

  it('asks for as much work as it says', async () => {
    const { port } = await start();
    const before = process.cpuUsage();
    const few = await requests(port, 4, 0);
    const between = process.cpuUsage(before).user;
    const many = await requests(port, 4, 20_000);
    const after = process.cpuUsage(before).user;
    // Twenty thousand hashes against none: whatever else the machine does, they show.
    expect((after - between) / many.length).toBeGreaterThan((5 * between) / few.length);
  });
});

describe('a service that takes no new connections', () => {
  it('keeps those that are there', async () => {
    const { port } = await start();
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write('GET /health HTTP/1.1\r\nHost: vip\r\n\r\n');
    await once(socket, 'data');
    await service.turn('deaf');
    socket.write('GET /health HTTP/1.1\r\nHost: vip\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toContain('200 OK');
  });
});
