import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Conductor } from '../../src/conductor/conductor.js';
import {
  decodeRecord,
  encodeRecord,
  Keys,
  type NodeRecord,
  serverRecord,
  statusRecord,
} from '../../src/store/records.js';
import type { Lease, Store } from '../../src/store/store.js';
import { readPublished } from '../../src/store/tables.js';
import { type ClusterConfig, loadCluster } from '../../src/table/cluster.js';

/** A data center of the control plane alone: conductors and the records of nodes, around one store. */

export const SERVERS = ['s1', 's2', 's3', 's4'];

export function dipOf(server: string): string {
  return `10.0.1.${server.slice(1)}`;
}

export interface ClusterText {
  readonly store?: string;
  readonly conductor?: string;
  readonly balance?: string;
  readonly servers?: readonly string[];
  /** More sections. */
  readonly more?: string;
}

/** A cluster.yaml with the trafficset `web` of 1024 buckets. */
export function clusterText({
  store = 'file:/nowhere',
  conductor = '{}',
  balance = '{ buckets: 1024 }',
  servers = SERVERS,
  more = '',
}: ClusterText = {}): string {
  return `
underlay: { prefixes: [10.0.0.0/16] }
store: ${store}
conductor: ${conductor}
servers:
${servers.map((name) => `  - { name: ${name}, dip: ${dipOf(name)} }`).join('\n')}
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24], balance: ${balance} }
${more}`;
}

export function clusterOf(text: ClusterText = {}): ClusterConfig {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-conductor-'));
  try {
    const file = join(directory, 'cluster.yaml');
    writeFileSync(file, clusterText(text));
    return loadCluster(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Lines that a log got, as text. */
export class LogLines {
  readonly lines: string[] = [];
  readonly log = pino({ level: 'info', base: {} }, { write: (line: string) => void this.lines.push(line) });

  has(text: string): boolean {
    return this.lines.some((line) => line.includes(text));
  }

  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }
}

/** What a node would write of itself. */
export class FakeNode {
  private sequence = 0;
  private lease: Lease | null = null;
  cpu: number | null = 0.5;
  healthy = true;
  tables: Record<string, number> = {};
  vips: Record<string, number> = {};

  constructor(
    private readonly store: Store,
    readonly name: string,
  ) {}

  async report(): Promise<void> {
    if (this.lease?.valid !== true) this.lease = await this.store.lease(5);
    this.sequence++;
    const record: NodeRecord = {
      dip: dipOf(this.name),
      sequence: this.sequence,
      healthy: this.healthy,
      tables: this.tables,
      vips: this.vips,
      cpu: this.cpu,
      routes: 'none',
    };
    await this.store.transact({
      puts: [{ key: Keys.node(this.name), value: encodeRecord(record), lease: this.lease }],
    });
  }

  async die(): Promise<void> {
    await this.lease?.revoke();
    this.lease = null;
  }
}

export async function startNodes(store: Store, names: readonly string[] = SERVERS): Promise<FakeNode[]> {
  const nodes = names.map((name) => new FakeNode(store, name));
  for (const node of nodes) await node.report();
  return nodes;
}

export function startConductor(
  store: Store,
  cluster: ClusterConfig,
  { name = 'a', log = new LogLines().log, newTables = [] as string[] } = {},
): Promise<Conductor> {
  return Conductor.start({ name, cluster, store, log, newTables });
}

export async function putServer(
  store: Store,
  name: string,
  change: { state?: 'active' | 'drained'; weight?: number } = {},
): Promise<number> {
  const record = { dip: dipOf(name), weight: 1, pool: 'default', state: 'active' as const, ...change };
  const { revision } = await store.transact({
    puts: [{ key: Keys.server(name), value: encodeRecord(record) }],
  });
  return revision;
}

export async function serversIn(store: Store): Promise<Record<string, unknown>> {
  const { entries } = await store.list(Keys.servers);
  return Object.fromEntries(
    entries.map(({ key, value }) => [key.slice(Keys.servers.length), decodeRecord(serverRecord, value)]),
  );
}

export async function statusIn(store: Store) {
  const entry = await store.get(Keys.status);
  return entry === null ? null : decodeRecord(statusRecord, entry.value);
}

/** Version and rows of the published table; null when there is none. */
export async function tableIn(store: Store, trafficset = 'web') {
  return (await readPublished(store, trafficset))?.table ?? null;
}
