import { connect } from 'node:net';
import type { MonitorConfig } from '../../table/control.js';
import { type Check, failure, noAnswer, type Outcome } from './check.js';

type TcpMonitor = Extract<MonitorConfig, { type: 'tcp' }>;

/** Up when a connection to the server's DIP is taken; it is closed at once. */
export function tcpCheck(monitor: Pick<TcpMonitor, 'port' | 'timeout_seconds'>): Check {
  return (target, stop) =>
    new Promise<Outcome>((resolve, reject) => {
      const started = performance.now();
      const socket = connect({ host: target.dip, port: monitor.port, signal: stop });
      const timer = setTimeout(
        () => finish(() => noAnswer(monitor.timeout_seconds)),
        1000 * monitor.timeout_seconds,
      );
      const finish = (outcome: () => Outcome) => {
        clearTimeout(timer);
        socket.destroy();
        try {
          resolve(outcome());
        } catch (error) {
          reject(error);
        }
      };
      socket.once('connect', () => finish(() => ({ up: true, latency: performance.now() - started })));
      // Not once: a second error, of the destroyed socket, must not end the process.
      socket.on('error', (error) => finish(() => failure(error)));
    });
}
