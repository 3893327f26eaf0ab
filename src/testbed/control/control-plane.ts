import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FAMILIES, ROUTER, serverName, VIP_PREFIXES } from '../addresses.js';
import type { NodeSettings } from '../cluster-file.js';
import type { Daemon } from '../daemon.js';
import { TestbedError } from '../errors.js';
import { CLI_ENTRY } from '../locations.js';
import { inNamespace, run } from '../run.js';
import { Site } from '../site.js';
import { START_MS, waitUntil } from '../wait.js';
import { conductedClusterFile, STORE } from './cluster.js';
import { Router } from './router.js';
import { ConductedServer } from './servers.js';
import { startEtcd, startPrometheus } from './services.js';
import { hasShare } from './view.js';
import { Watch } from './watch.js';

export const CONDUCTORS = ['one', 'two'] as const;
export type ConductorName = (typeof CONDUCTORS)[number];

/**
 * A data center that a conductor and its standby run: the store, Prometheus and the conductors at the router's own
 * address, the router's BGP sessions, and the servers. There is one server more than the fleet has at its beginning.
 */
export class ControlPlane {
  private etcd: Daemon | null = null;
  private readonly conductors = new Map<ConductorName, Daemon>();

  private constructor(
    private readonly site: Site,
    private readonly config: string,
    readonly router: Router,
    /** By number - 1; the last is none of the fleet yet, and nothing runs on it. */
    readonly servers: readonly ConductedServer[],
    readonly watch: Watch,
  ) {}

  /**
   * Resolves when the conductor has made tables, every node uses them, and the router sends to every server.
   * @param options.cpuGroup the outermost control group
   */
  static async up(options: {
    readonly directory: string;
    readonly servers: readonly Site[];
    readonly cpuGroup: string;
    /** A server without a node takes nothing, whatever they say. */
    readonly nodes: NodeSettings;
  }): Promise<ControlPlane> {
    const { directory, servers: sites, cpuGroup, nodes } = options;
    const numbers = sites.map(({ number }) => number);
    const fleet = numbers.slice(0, -1);
    const site = new Site(0, ROUTER, directory);
    for (const path of [site.file(''), join(directory, 'tables'), join(directory, 'state')]) {
      await mkdir(path, { recursive: true });
    }
    const config = join(directory, 'cluster.yaml');
    await writeFile(config, conductedClusterFile({ servers: fleet, cpuGroup, directory, nodes }));

    // First, because it brings the address that the others listen on.
    const router = await Router.start(site, numbers);
    const etcd = await startEtcd(site);
    const servers = sites.map((server) => ConductedServer.make({ site: server, config, cpuGroup }));
    const control = new ControlPlane(site, config, router, servers, Watch.start(site, STORE));
    control.etcd = etcd;
    const first = servers.slice(0, -1);
    for (const name of CONDUCTORS) control.startConductor(name);
    for (const server of first) server.startNode();
    await Promise.all([startPrometheus(site, numbers), ...first.map((server) => server.startService())]);
    await Promise.all(first.map((server) => server.untilHealthy()));
    await Promise.all(first.map(({ name }) => control.untilInUse(name)));
    return control;
  }

  /** The server that is none of the fleet at its beginning. */
  get spare(): ConductedServer {
    return this.servers[this.servers.length - 1];
  }

  /** @throws {TestbedError} when there is none of this number */
  server(number: number): ConductedServer {
    const server = this.servers.find((one) => one.number === number);
    if (server === undefined) throw new TestbedError(`there is no server ${serverName(number)}`);
    return server;
  }

  /** Resolves when a server gets new connections by the table, and packets from the router. */
  async untilInUse(server: string): Promise<void> {
    await this.watch.until(`${server} to get its share`, (view) => hasShare(view, server), START_MS);
    await this.untilRouter(server, 'used');
  }

  /** Resolves when the router sends VIP packets of both families to a server, or of none. */
  async untilRouter(server: string, state: 'used' | 'withdrawn'): Promise<void> {
    await waitUntil(
      `the routes of ${server} to be ${state}`,
      async () => {
        const hops = await Promise.all(FAMILIES.map((family) => this.router.nextHops(VIP_PREFIXES[family])));
        return hops.every((names) => names.includes(server) === (state === 'used'));
      },
      START_MS,
    );
  }

  startConductor(name: ConductorName): void {
    const args = ['conductor', '--config', this.config, '--name', name];
    const conductor = this.site.start(`conductor-${name}`, [process.execPath, CLI_ENTRY, ...args]);
    this.conductors.set(name, conductor);
  }

  /** SIGKILL and SIGTERM: resolves when it is gone. SIGSTOP and SIGCONT: at once. */
  async signalConductor(
    name: ConductorName,
    signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT',
  ): Promise<void> {
    const conductor = this.conductors.get(name);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await conductor?.kill(signal);
    else conductor?.child.kill(signal);
  }

  /** Resolves when it is gone; its data stays. */
  async stopEtcd(): Promise<void> {
    await this.etcd?.kill('SIGTERM');
  }

  /** Resolves when it answers. */
  async startEtcd(): Promise<void> {
    this.etcd = await startEtcd(this.site);
  }

  /** Runs `twohop ARGS` where an operator would. @returns what it prints with --json. @throws {TestbedError} */
  async twohop<Result>(...args: readonly string[]): Promise<Result> {
    const command = [process.execPath, CLI_ENTRY, ...args, '--config', this.config, '--json'];
    const { stdout } = await run(...inNamespace(ROUTER, command));
    return JSON.parse(stdout) as Result;
  }
}
