import { createHash } from 'node:crypto';
import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { readJsonLines, writeJsonLine } from '../json-lines.js';
import { type ListenAddress, listen, startService } from '../service.js';

/**
 * The testbed's HTTP service with real work to do, and a health that can be set:
 *
 *   GET /work?iterations=N    hashes N times, which costs the processor the same whatever the time it takes
 *   GET /health               200, or 503 when it was told to fail
 *
 * What it is told comes as JSON lines on standard input: one of {@link ServiceMood}.
 */

/**
 * - `well`: as it should be
 * - `unwell`: answers its health check with 503, and works all the same
 * - `failing`: answers its health check and all work with 503
 * - `deaf`: takes no new connections; those that are there live on
 */
export type ServiceMood = 'well' | 'unwell' | 'failing' | 'deaf';

const MOST_ITERATIONS = 1_000_000;

/** The service, in whatever mood it is told to be. */
export class WorkService {
  private mood: ServiceMood = 'well';
  private addresses: readonly ListenAddress[] = [];

  private constructor(private listening: readonly Server[]) {}

  /** Listens as `startService` does. */
  static async start(name: string, ports?: readonly number[]): Promise<WorkService> {
    const service = new WorkService([]);
    service.listening = await startService(name, ports, (url, response) => service.answer(url, response));
    service.addresses = service.listening.map(addressOf);
    return service;
  }

  get servers(): readonly Server[] {
    return this.listening;
  }

  /** Resolves when it is in this mood. */
  async turn(mood: ServiceMood): Promise<void> {
    if (mood === 'deaf') this.servers.forEach(stopListening);
    else if (this.mood === 'deaf') {
      await Promise.all(this.servers.map((server, n) => listen(server, this.addresses[n])));
    }
    this.mood = mood;
  }

  private answer(url: URL, response: ServerResponse): boolean {
    if (url.pathname !== '/work' && url.pathname !== '/health') return false;
    const isCheck = url.pathname === '/health';
    if (this.mood === 'failing' || (this.mood === 'unwell' && isCheck)) refuse(response);
    else if (isCheck) response.end('well\n');
    else work(url, response);
    return true;
  }
}

/** Goes on until it is killed; says its name when it is ready, and each mood once it is in it. */
export async function serveWorkUntilKilled(name: string): Promise<void> {
  const service = await WorkService.start(name);
  let turn: Promise<void> = Promise.resolve();
  readJsonLines(process.stdin, (value) => {
    turn = turn.then(async () => {
      await service.turn(value as ServiceMood);
      writeJsonLine(process.stdout, { mood: value });
    });
  });
  writeJsonLine(process.stdout, { ready: name });
}

/** As many times SHA-256 of what the last one came to. */
export function hashRepeatedly(iterations: number): string {
  let digest = Buffer.alloc(32);
  for (let n = 0; n < iterations; n++) digest = createHash('sha256').update(digest).digest();
  return digest.toString('hex');
}

function work(url: URL, response: ServerResponse): void {
  const iterations = Number(url.searchParams.get('iterations'));
  if (!Number.isInteger(iterations) || iterations < 0 || iterations > MOST_ITERATIONS) {
    response.statusCode = 400;
    response.end(`iterations is a whole number up to ${MOST_ITERATIONS}\n`);
    return;
  }
  response.end(`${hashRepeatedly(iterations)}\n`);
}

function refuse(response: ServerResponse): void {
  response.statusCode = 503;
  response.end('failing\n');
}

function addressOf(server: Server): ListenAddress {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the service has no port');
  return { host: address.address, port: address.port, ipv6Only: address.family === 'IPv6' };
}

/** An HTTP server would close idle connections too. */
function stopListening(server: Server): void {
  NetServer.prototype.close.call(server);
}
