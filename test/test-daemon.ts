import { type ChildProcess, spawn } from 'node:child_process';
import { START_MS, waitUntil } from '../src/testbed/wait.js';
import { tied } from './tied.js';

/** A server program of one test, which can be started again. It ends with the test process, however that ends. */
export class TestDaemon {
  private child: ChildProcess | null = null;
  private said = '';

  constructor(private readonly command: string) {}

  /** Resolves when it is ready. @param isReady may reject: then it is not. @throws Error when it ends before */
  async start(args: readonly string[], isReady: () => Promise<boolean>): Promise<void> {
    const child = spawn(...tied(this.command, args), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        this.said += data;
      });
    }
    this.child = child;
    const ready = async () => {
      if (child.exitCode !== null) throw new Error(`${this.command} ended: ${this.said}`);
      return isReady().catch(() => false);
    };
    await waitUntil(`${this.command} to be ready`, ready, START_MS);
  }

  kill(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** Killed, as when its machine fails. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    this.child = null;
    child.kill('SIGKILL');
    await waitUntil(`${this.command} to end`, () => child.exitCode !== null || child.signalCode !== null);
  }
}
