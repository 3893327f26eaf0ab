import { type IncomingMessage, request } from 'node:http';
import type { MonitorConfig } from '../../table/control.js';
import { type Check, failure, noAnswer, type Outcome } from './check.js';

type HttpMonitor = Extract<MonitorConfig, { type: 'http' }>;

/** As much of the answer's body is waited for; longer ones are cut. */
const MOST_BODY = 64 * 1024;

/** Up when a GET to the server's DIP, on a connection of its own, is answered in time with an expected status. */
export function httpCheck(
  monitor: Pick<HttpMonitor, 'port' | 'path' | 'host' | 'expect' | 'timeout_seconds'>,
): Check {
  const { port, path, host, expect, timeout_seconds: timeout } = monitor;
  const isExpected = (status: number) =>
    expect === undefined ? status >= 200 && status <= 299 : expect.includes(status);
  return (target, stop) =>
    new Promise<Outcome>((resolve, reject) => {
      const started = performance.now();
      const sent = request({
        host: target.dip,
        port,
        path,
        headers: {
          'user-agent': 'twohop',
          ...(host === undefined ? {} : { host }),
        },
        agent: false,
        signal: stop,
      });
      const timer = setTimeout(() => finish(() => noAnswer(timeout)), 1000 * timeout);
      const finish = (outcome: () => Outcome) => {
        clearTimeout(timer);
        sent.destroy();
        try {
          resolve(outcome());
        } catch (error) {
          reject(error);
        }
      };
      const fail = (error: NodeJS.ErrnoException) => finish(() => inWords(error));
      sent.on('error', fail);
      sent.once('response', (response) => {
        const latency = performance.now() - started;
        const status = response.statusCode ?? 0;
        response.on('error', fail);
        whenRead(response, () =>
          finish(() => (isExpected(status) ? { up: true, latency } : { up: false, why: `HTTP ${status}` })),
        );
      });
      sent.end();
    });
}

/** A server that sends a status and then hangs is not well: the body counts, as far as it is bounded. */
function whenRead(response: IncomingMessage, done: () => void): void {
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length >= MOST_BODY) done();
  });
  response.once('end', done);
}

function inWords(error: NodeJS.ErrnoException): Outcome {
  if (error.code?.startsWith('HPE_')) return { up: false, why: `no HTTP: ${error.message}` };
  if (error.message === 'aborted') return { up: false, why: 'the answer was cut off' };
  // So node says that the server closed the connection without an answer.
  if (error.message === 'socket hang up') return { up: false, why: 'connection closed without an answer' };
  return failure(error);
}
