import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseIpv4 } from '../table/address.js';
import { makeTable } from '../table/edit.js';
import { ForwardingTable } from '../table/forwarding-table.js';
import { writeTableFile } from '../table/table-file.js';
import { dipOf, serverName } from './addresses.js';
import {
  adminSocket,
  clusterFile,
  type NodeSettings,
  type TrafficsetSpec,
  tableFile,
} from './cluster-file.js';
import { Daemon } from './daemon.js';
import { TestbedError } from './errors.js';
import { CLI_ENTRY } from './locations.js';
import { getOverUnixSocket, Metrics, parseMetrics } from './metrics.js';
import { waitUntil } from './wait.js';

/** More than a hundred per server, for as many servers as the testbed takes. */
const BUCKETS = 4096;

/** The nodes of all servers, and the forwarding tables they share: one per trafficset. */
export class Fleet {
  private readonly nodes = new Map<number, Daemon>();
  /** Of the configuration. */
  private generation = 0;
  /** By trafficset: what was published last. */
  private readonly current = new Map<string, ForwardingTable>();

  constructor(
    private readonly directory: string,
    readonly servers: number,
    readonly nodeSettings: NodeSettings,
    private trafficsets: readonly TrafficsetSpec[],
  ) {
    for (const { name } of trafficsets) this.current.set(name, this.evenTable(name));
  }

  /** The only trafficset's {@link tableOf}. @throws {TestbedError} when there are several */
  get table(): ForwardingTable {
    const [table, ...others] = this.current.values();
    if (others.length > 0) throw new TestbedError('there are several tables: say which trafficset');
    return table;
  }

  /** The settings of all trafficsets. */
  get settings(): readonly TrafficsetSpec[] {
    return this.trafficsets;
  }

  /** A trafficset's table that was published last. @throws {TestbedError} when there is no such trafficset */
  tableOf(trafficset: string): ForwardingTable {
    const table = this.current.get(trafficset);
    if (table === undefined) throw new TestbedError(`there is no trafficset ${trafficset}`);
    return table;
  }

  /** Writes configuration and tables, and starts every node; resolves when all are ready. */
  async start(): Promise<void> {
    await mkdir(dirname(this.file(tableFile('any', 0))), { recursive: true });
    await this.configure();
    for (const table of this.current.values()) this.write(table);
    await this.startAll();
  }

  /**
   * Gives the trafficsets other settings, without a restart; resolves when every running node uses them.
   * @param trafficsets of the same names: the tables stay
   * @returns the settings before
   */
  async reconfigure(trafficsets: readonly TrafficsetSpec[]): Promise<readonly TrafficsetSpec[]> {
    const before = this.trafficsets;
    this.trafficsets = trafficsets;
    // Who uses the tables of the new generation has read the configuration that names them.
    this.generation++;
    for (const { name } of trafficsets) {
      const table = newerTable(this.tableOf(name), this.tableOf(name));
      this.current.set(name, table);
      this.write(table);
    }
    await this.configure();
    for (const server of this.running()) this.nodes.get(server)?.child.kill('SIGHUP');
    await this.waitForTables('the new settings');
    return before;
  }

  async startAll(): Promise<void> {
    await Promise.all(this.numbers().map((server) => this.startNode(server)));
  }

  /** In good order: every node takes its network set-up back. */
  async stopAll(): Promise<void> {
    await Promise.all(this.numbers().map((server) => this.stopNode(server, 'SIGTERM')));
  }

  /** Starts one node; resolves when it is healthy and uses the current tables. */
  async startNode(server: number): Promise<void> {
    const name = serverName(server);
    if (this.nodes.get(server)?.running) throw new TestbedError(`node ${name} runs already`);
    const node = Daemon.start({
      name: `node ${name}`,
      namespace: name,
      command: [process.execPath, CLI_ENTRY, 'node', '--config', this.file('cluster.yaml'), '--as', name],
      log: this.file(`logs/${name}.node.log`),
      talks: false,
    });
    this.nodes.set(server, node);
    await node.until(
      'to be healthy',
      async () => (await healthy(name)) && (await this.usesCurrentTables(server)),
    );
  }

  /** SIGKILL: as a crash. SIGTERM: the node takes its network set-up back. Resolves when the process is gone. */
  async stopNode(server: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.nodes.get(server)?.kill(signal);
  }

  /** Publishes the table of one trafficset; resolves when every running node uses it. */
  async publish(table: ForwardingTable): Promise<void> {
    this.tableOf(table.trafficset);
    this.write(table);
    this.current.set(table.trafficset, table);
    await this.waitForTables(`table version ${table.version}`);
  }

  /** Publishes the rows of an earlier table again, as a newer one. */
  async restore(table: ForwardingTable): Promise<void> {
    await this.publish(newerTable(table, this.tableOf(table.trafficset)));
  }

  /** The metrics of one node. @throws Error when it does not answer */
  async metrics(server: number): Promise<Metrics> {
    const { body } = await getOverUnixSocket(adminSocket(serverName(server)), '/metrics');
    return parseMetrics(body);
  }

  /** The samples of all running nodes together, each labelled with its `server`. */
  async allMetrics(): Promise<Metrics> {
    const pages = await Promise.all(this.running().map((server) => this.metrics(server)));
    return new Metrics(pages.flatMap((page) => page.samples));
  }

  private async waitForTables(what: string): Promise<void> {
    await Promise.all(
      this.running().map((server) =>
        waitUntil(`node ${serverName(server)} to use ${what}`, () => this.usesCurrentTables(server)),
      ),
    );
  }

  private async usesCurrentTables(server: number): Promise<boolean> {
    try {
      const metrics = await this.metrics(server);
      return this.trafficsets.every(
        ({ name }) =>
          metrics.sum('twohop_table_version', { trafficset: name }) === this.tableOf(name).version,
      );
    } catch {
      return false;
    }
  }

  private evenTable(trafficset: string): ForwardingTable {
    return makeTable({
      trafficset,
      buckets: BUCKETS,
      hashKey: randomBytes(8),
      servers: this.numbers().map((server) => ({ dip: parseIpv4(dipOf(server)) })),
    });
  }

  private async configure(): Promise<void> {
    const { servers, nodeSettings: nodes, trafficsets, generation } = this;
    await writeFile(this.file('cluster.yaml'), clusterFile({ servers, nodes, trafficsets, generation }));
  }

  private write(table: ForwardingTable): void {
    writeTableFile(this.file(tableFile(table.trafficset, this.generation)), table);
  }

  private running(): number[] {
    return this.numbers().filter((server) => this.nodes.get(server)?.running);
  }

  private numbers(): number[] {
    return Array.from({ length: this.servers }, (_, index) => index + 1);
  }

  private file(path: string): string {
    return join(this.directory, path);
  }
}

/** The rows of `table`, as the successor of `last`. */
function newerTable(table: ForwardingTable, last: ForwardingTable): ForwardingTable {
  const { trafficset, hashKey, slots } = table;
  return new ForwardingTable({ trafficset, hashKey, slots, version: last.version + 1 });
}

async function healthy(name: string): Promise<boolean> {
  try {
    return (await getOverUnixSocket(adminSocket(name), '/healthz')).status === 200;
  } catch {
    // Nobody listens yet.
    return false;
  }
}
