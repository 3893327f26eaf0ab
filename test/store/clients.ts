import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { waitUntil } from '../../src/testbed/wait.js';
import { tied } from '../tied.js';

const FIXTURE = fileURLToPath(new URL('fixtures/client.mjs', import.meta.url));
const DIST = fileURLToPath(new URL('../../dist', import.meta.url));

/** A client of a store in a process of its own (fixtures/client.mjs); killed at the end of the test. */
export class Client {
  readonly child: ChildProcess;
  private said = '';

  constructor(address: string, ...action: string[]) {
    const [command, args] = tied(process.execPath, [FIXTURE, address, DIST, ...action]);
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (data) => {
      this.said += data;
    });
    this.child.stderr?.on('data', (data) => {
      this.said += data;
    });
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await waitUntil(
        'a client to be gone',
        () => this.child.exitCode !== null || this.child.signalCode !== null,
      );
    });
  }

  async says(word: string): Promise<void> {
    await waitUntil(`a client to say ${word}`, () => {
      if (this.said.includes(word)) return true;
      if (this.child.exitCode !== null) throw new Error(`the client ended: ${this.said}`);
      return false;
    });
  }

  async ended(): Promise<number | null> {
    await waitUntil('a client to end', () => this.child.exitCode !== null, 60_000);
    if (this.child.exitCode !== 0) throw new Error(`the client failed: ${this.said}`);
    return this.child.exitCode;
  }
}
