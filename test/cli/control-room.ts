import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Conductor } from '../../src/conductor/conductor.js';
import { FileStore } from '../../src/store/file.js';
import type { Store } from '../../src/store/store.js';
import { readVips } from '../../src/store/vips.js';
import { loadCluster } from '../../src/table/cluster.js';
import { waitUntil } from '../../src/testbed/wait.js';
import {
  type ClusterText,
  clusterText,
  FakeNode,
  LogLines,
  SERVERS,
  startConductor,
  statusIn,
  tableIn,
} from '../conductor/support.js';

/** How often nodes report, and look for tables. */
const NODE_MS = 25;

/**
 * A conductor over a store in a directory, and the records of nodes, for commands to be run against. Time is the
 * machine's, as that of the commands is.
 */
export class ControlRoom {
  readonly log = new LogLines();
  readonly store: Store;
  readonly config: string;
  readonly nodes = new Map<string, FakeNode>();
  private conductor: Conductor | null = null;
  private readonly stores: Store[] = [];
  private readonly still = new Set<string>();
  private turn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;

  private constructor(
    private readonly directory: string,
    text: ClusterText,
  ) {
    this.config = join(directory, 'cluster.yaml');
    this.store = this.open();
    const conductor = '{ settle_seconds: 0, node_absence_seconds: 60, log_level: silent }';
    const balance = '{ buckets: 1024, max_change_per_minute: 1, load: none }';
    writeFileSync(this.config, clusterText({ store: `file:${this.path}`, conductor, balance, ...text }));
  }

  /** Without a conductor, and without nodes. */
  static make(text: ClusterText = {}): ControlRoom {
    return new ControlRoom(mkdtempSync(join(tmpdir(), 'twohop-room-')), text);
  }

  /** With nodes that use the first table. */
  static async open(text: ClusterText = {}): Promise<ControlRoom> {
    const room = ControlRoom.make(text);
    for (const name of SERVERS) await room.startNode(name);
    await room.startConductor();
    const used = () => [...room.nodes.values()].every(({ tables }) => (tables.web ?? -1) > 0);
    await waitUntil('every node to use the first table', used);
    const told = async () => ((await statusIn(room.store))?.trafficsets.web?.version ?? 0) > 0;
    await waitUntil('the conductor to have told of it', told);
    return room;
  }

  get path(): string {
    return join(this.directory, 'store');
  }

  /** @param store the conductor's own */
  async startConductor(store: Store = this.open()): Promise<void> {
    this.conductor = await startConductor(store, loadCluster(this.config), { name: 'a', log: this.log.log });
  }

  async stopConductor(): Promise<void> {
    await this.conductor?.stop();
    this.conductor = null;
  }

  open(): Store {
    const store = FileStore.open(this.path);
    this.stores.push(store);
    return store;
  }

  async startNode(name: string): Promise<void> {
    const node = new FakeNode(this.store, name);
    this.nodes.set(name, node);
    await node.report();
    this.timer ??= setInterval(() => {
      this.turn = this.turn.then(() => this.reports());
    }, NODE_MS);
  }

  /** From now on this node takes nothing new, and says so. */
  standStill(name: string): void {
    this.still.add(name);
  }

  async end(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await this.turn;
    await this.stopConductor();
    for (const store of this.stores) await store.close();
    rmSync(this.directory, { recursive: true });
  }

  /** Each node takes what there is, and says so. */
  private async reports(): Promise<void> {
    const version = (await tableIn(this.store))?.version;
    const vips = await readVips(this.store, 'web');
    for (const [name, node] of this.nodes) {
      if (!this.still.has(name)) {
        node.tables = { web: version ?? -1 };
        node.vips = { web: vips.version };
      }
      await node.report();
    }
  }
}
