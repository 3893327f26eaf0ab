import { connect } from 'node:net';
import type { Endpoint, WorkDone, WorkLoadSpec } from './client-protocol.js';
import { reasonOf } from './held-connection.js';

/**
 * New connections at a steady pace, one request each. They go round in a fixed set of 4-tuples, so that with every
 * round each bucket of a forwarding table gets the same: what a server has to do is then as steady as its share of the
 * table, where random ports would make it a matter of chance.
 */
export class WorkLoad {
  private readonly started = clock();
  private readonly timer: NodeJS.Timeout;
  /** By number in the round. */
  private readonly underWay = new Map<number, Promise<void>>();
  private done: WorkDone[] = [];
  private count = 0;

  constructor(private readonly spec: WorkLoadSpec) {
    this.timer = setInterval(() => this.catchUp(), TICK_MS);
  }

  /** What has come since the last time. */
  take(): WorkDone[] {
    return this.done.splice(0);
  }

  /** Begins no more; resolves when those under way have ended. */
  async stop(): Promise<WorkDone[]> {
    clearInterval(this.timer);
    await Promise.all(this.underWay.values());
    return this.take();
  }

  /** As many as should have begun by now. */
  private catchUp(): void {
    const { perSecond, targets, ports, iterations, timeoutMs } = this.spec;
    const wanted = ((clock() - this.started) / 1000) * perSecond;
    for (; this.count < wanted; this.count++) {
      const inRound = this.count % (targets.length * ports.count);
      // Still waiting since the last round: its turn comes again in the next.
      if (this.underWay.has(inRound)) continue;
      const target = targets[inRound % targets.length];
      const port = ports.first + Math.floor(inRound / targets.length);
      const request = askOnce(target, port, iterations, timeoutMs).then((done) => {
        // Nothing was sent: the client's own kernel had not let go of the port yet.
        if (done.error !== 'EADDRNOTAVAIL') this.done.push(done);
        this.underWay.delete(inRound);
      });
      this.underWay.set(inRound, request);
    }
  }
}

const TICK_MS = 5;

/** Milliseconds of the machine's monotonic clock, the same for all processes. */
export const clock = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

/** Long enough for the head of any answer. */
const MOST_CHARACTERS = 4096;

/** Never rejects. The server closes: the port can be used for the next round at once. */
function askOnce(
  { address, port }: Endpoint,
  localPort: number,
  iterations: number,
  timeoutMs: number,
): Promise<WorkDone> {
  const begun = clock();
  return new Promise((resolve) => {
    let text = '';
    let error: string | null = null;
    const socket = connect({ host: address, port, localPort });
    const timer = setTimeout(() => {
      error = `no answer in ${timeoutMs} ms`;
      socket.destroy();
    }, timeoutMs);
    socket.setEncoding('latin1');
    socket.on('data', (part) => {
      if (text.length < MOST_CHARACTERS) text += part;
    });
    socket.on('error', (cause) => {
      error ??= reasonOf(cause);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      const server = /^x-server: (\S+)/im.exec(text)?.[1] ?? null;
      error ??=
        status === '200' ? null : status === undefined ? 'closed without an answer' : `HTTP ${status}`;
      resolve({ begun, ended: clock(), server, error });
    });
    socket.write(`GET /work?iterations=${iterations} HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n`);
  });
}
