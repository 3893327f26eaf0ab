import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../free-ports.js';
import { TestDaemon } from '../../test-daemon.js';

const SCRAPE = '100ms';

/** What servers would say of their load, over HTTP: `test_load VALUE` under the path /NAME, as long as there is one. */
export class Exporter {
  private loads: Readonly<Record<string, number>> = {};

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async start(loads: Readonly<Record<string, number>>): Promise<Exporter> {
    const server = createServer();
    const exporter = new Exporter(server, await listening(server));
    exporter.set(loads);
    server.on('request', (request, response) => {
      const load: number | undefined = exporter.loads[request.url?.slice(1) ?? ''];
      response.writeHead(load === undefined ? 503 : 200, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(load === undefined ? '' : `# TYPE test_load gauge\ntest_load ${load}\n`);
    });
    return exporter;
  }

  /** From now on these are what there is. */
  set(loads: Readonly<Record<string, number>>): void {
    this.loads = loads;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** @returns the port of 127.0.0.1 on which it listens now */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A real Prometheus that scrapes the servers of an exporter, with its data in a directory of its own. */
export class TestPrometheus {
  private readonly daemon = new TestDaemon('prometheus');

  private constructor(
    private readonly directory: string,
    private readonly port: number,
  ) {}

  static async start(exporter: Exporter, servers: readonly string[]): Promise<TestPrometheus> {
    const [port] = await freePorts(1);
    const directory = mkdtempSync(join(tmpdir(), 'twohop-prometheus-'));
    const targets = servers.map((server) => ({
      targets: [`127.0.0.1:${exporter.port}`],
      labels: { server, __metrics_path__: `/${server}` },
    }));
    // JSON is YAML.
    const configuration = {
      global: { scrape_interval: SCRAPE, scrape_timeout: SCRAPE },
      scrape_configs: [{ job_name: 'servers', static_configs: targets }],
    };
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(configuration));
    const prometheus = new TestPrometheus(directory, port);
    await prometheus.start();
    return prometheus;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  start(): Promise<void> {
    const { directory, port } = this;
    return this.daemon.start(
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn',
      ],
      async () => (await fetch(`${this.address}/-/ready`)).ok,
    );
  }

  kill(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.daemon.kill(signal);
  }

  /** Killed, as when its machine fails; what it had scraped stays. */
  stop(): Promise<void> {
    return this.daemon.stop();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
