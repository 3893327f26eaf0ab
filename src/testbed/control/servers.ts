import { type CpuReading, readCpu } from '../../node/cpu.js';
import { dipOf, ROUTER, serverName } from '../addresses.js';
import { adminSocket } from '../cluster-file.js';
import type { Daemon } from '../daemon.js';
import { TestbedError } from '../errors.js';
import { CLI_ENTRY } from '../locations.js';
import { getOverUnixSocket, type Metrics, parseMetrics } from '../metrics.js';
import { runScript } from '../run.js';
import type { Site } from '../site.js';
import { waitUntil } from '../wait.js';
import { CpuGroup } from './cpu-group.js';
import type { ServiceMood } from './work-service.js';

/** Of one processor: eight servers and all the rest fit on a machine with two. */
export const PROCESSORS_PER_SERVER = 0.15;

/**
 * No socket waits in TIME_WAIT. It would count as a connection, here as in the published redirectors; and the requests
 * use the same 4-tuples every few seconds. Where a bucket goes to another server and comes back within the minute, a
 * connection made in between would meet what is left of its 4-tuple's last one. Clients that take other ports, as they
 * do, never see that. The first setting keeps the kernel from answering the client's FIN with RST because of the second.
 */
const NO_TIME_WAIT = 'sysctl -q -w net.ipv4.tcp_fin_timeout=61 net.ipv4.tcp_max_tw_buckets=0';

/** A server of a data center that a conductor runs: its node, its service, and its share of the machine. */
export class ConductedServer {
  readonly name: string;
  private node: Daemon | null = null;
  private service: Daemon | null = null;

  private constructor(
    readonly number: number,
    private readonly site: Site,
    private readonly config: string,
    private readonly group: CpuGroup,
  ) {
    this.name = serverName(number);
  }

  /** @param options.cpuGroup in which it gets a group of its own */
  static make(options: {
    readonly site: Site;
    /** Path of its cluster.yaml. */
    readonly config: string;
    readonly cpuGroup: string;
  }): ConductedServer {
    const { site, config, cpuGroup } = options;
    const group = CpuGroup.at(cpuGroup).makeBelow(site.name, PROCESSORS_PER_SERVER);
    return new ConductedServer(site.number, site, config, group);
  }

  /** From now on it has this share of what servers usually have. */
  slowTo(share: number): void {
    this.group.limit(share * PROCESSORS_PER_SERVER);
  }

  /** What its service has used, as its node reads it. @throws {TestbedError} when that cannot be read */
  cpu(): CpuReading {
    const reading = readCpu({ kind: 'cgroup', path: this.group.path });
    if (reading === null) throw new TestbedError(`what ${this.name} uses cannot be read`);
    return reading;
  }

  /** Starts its service; resolves when it takes requests. */
  async startService(): Promise<void> {
    await runScript(this.name, NO_TIME_WAIT);
    const service = this.site.startRole('service', 'work-service', this.name);
    this.service = service;
    await service.ready();
    // After its start, which is no part of its work.
    if (service.child.pid !== undefined) this.group.take(service.child.pid);
  }

  /** Resolves when the service is in this mood. */
  async setMood(mood: ServiceMood): Promise<void> {
    const { service } = this;
    if (service === null) throw new Error(`${this.name} has no service`);
    let is = '';
    service.child.stdout?.once('data', (text: Buffer) => {
      is = String(text);
    });
    service.child.stdin?.write(`${JSON.stringify(mood)}\n`);
    await waitUntil(`the service of ${this.name} to be ${mood}`, () => is.includes(mood));
  }

  /** Starts its node; it is healthy once it has tables, see {@link untilHealthy}. */
  startNode(): void {
    // A server that is to be added is not in the configuration: it says its address itself.
    const args = ['node', '--config', this.config, '--as', this.name, '--dip', dipOf(this.number)];
    this.node = this.site.start('node', [process.execPath, CLI_ENTRY, ...args]);
  }

  async untilHealthy(): Promise<void> {
    await this.node?.until('to be healthy', () => this.isHealthy());
  }

  /** SIGKILL: as a crash. SIGTERM: the node takes its network set-up back. Resolves when the process is gone. */
  async stopNode(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.node?.kill(signal);
  }

  /** Node and service in good order: nothing runs on it any more. */
  async stop(): Promise<void> {
    await this.stopNode('SIGTERM');
    await this.service?.kill('SIGTERM');
  }

  /** Every process in its namespace at once: the node, the service, and what they have started. */
  async killEverything(): Promise<void> {
    await runScript(ROUTER, `kill -9 $(ip netns pids ${this.name})`);
    await waitUntil(`the processes of ${this.name} to end`, async () => {
      const { stdout } = await runScript(ROUTER, `ip netns pids ${this.name}`);
      return stdout.trim() === '';
    });
  }

  /** Its link to the router, off or on. */
  async setLink(state: 'up' | 'down'): Promise<void> {
    await runScript(ROUTER, `ip link set ${this.name} ${state}`);
  }

  /** @throws Error when its node does not answer */
  async metrics(): Promise<Metrics> {
    const { body } = await getOverUnixSocket(adminSocket(this.name), '/metrics');
    return parseMetrics(body);
  }

  private async isHealthy(): Promise<boolean> {
    try {
      return (await getOverUnixSocket(adminSocket(this.name), '/healthz')).status === 200;
    } catch {
      return false;
    }
  }
}
