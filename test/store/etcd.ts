import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { TestDaemon } from '../test-daemon.js';

/** A real etcd of one member on loopback ports, with its data in a directory of its own. */
export class TestEtcd {
  private readonly daemon = new TestDaemon('etcd');

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

  start(): Promise<void> {
    const { directory, url, peerUrl } = this;
    return this.daemon.start(
      [
        ...['--name', 'test', '--data-dir', join(directory, 'data'), '--log-level', 'error'],
        ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peerUrl],
        ...['--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `test=${peerUrl}`],
        ...this.options,
      ],
      async () => (await (await fetch(`${url}/health`)).text()).includes('true'),
    );
  }

  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.daemon.kill(signal);
  }

  /** Killed, as when its machine fails. */
  stop(): Promise<void> {
    return this.daemon.stop();
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
