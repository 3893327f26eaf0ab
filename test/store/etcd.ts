import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { START_MS, waitUntil } from '../../src/testbed/wait.js';
import { freePorts } from '../free-ports.js';
import { tied } from '../tied.js';

/** A real etcd of one member on loopback ports, with its data in a directory of its own. */
export class TestEtcd {
  private child: ChildProcess | null = null;
  private log = '';

  private constructor(
    private readonly directory: string,
    readonly url: string,
    private readonly peerUrl: string,
    private readonly options: readonly string[],
  ) {}

  /** @param options more of etcd's command line; by default what is written need not survive the machine */
  static async start(options: readonly string[] = ['--unsafe-no-fsync']): Promise<TestEtcd> {
    const [port, peerPort] = await freePorts(2);
    const directory = mkdtempSync(join(tmpdir(), 'twohop-etcd-'));
    const url = `http://127.0.0.1:${port}`;
    const etcd = new TestEtcd(directory, url, `http://127.0.0.1:${peerPort}`, options);
    await etcd.start();
    return etcd;
  }

  /** For `openStore`, each prefix a store of its own. */
  address(prefix: string): string {
    return `etcd:${this.url}/${prefix}`;
  }

  async start(): Promise<void> {
    const { directory, url, peerUrl } = this;
    const [command, args] = tied('etcd', [
      ...['--name', 'test', '--data-dir', join(directory, 'data'), '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peerUrl],
      ...['--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `test=${peerUrl}`],
      ...this.options,
    ]);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (data) => {
      this.log += data;
    });
    child.stderr.on('data', (data) => {
      this.log += data;
    });
    this.child = child;
    await waitUntil(
      'etcd to be healthy',
      async () => {
        if (child.exitCode !== null) throw new Error(`etcd ended: ${this.log}`);
        try {
          const answer = await fetch(`${url}/health`);
          return (await answer.text()).includes('true');
        } catch {
          return false;
        }
      },
      START_MS,
    );
  }

  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.child?.kill(signal);
  }

  /** Killed, as when its machine fails. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    this.child = null;
    child.kill('SIGKILL');
    await waitUntil('etcd to end', () => child.exitCode !== null || child.signalCode !== null);
  }

  /** While it does not run. */
  loseData(): void {
    rmSync(join(this.directory, 'data'), { recursive: true, force: true });
  }

  /** Stops it and removes everything. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
