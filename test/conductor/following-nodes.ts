import { followTables, type TableFollowing } from '../../src/store/follow-tables.js';
import type { Store } from '../../src/store/store.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import { findBadRow } from '../../src/table/rows.js';
import { FakeNode, SERVERS } from './support.js';

const REPORT_MS = 50;

/** Nodes as far as the control plane sees them: they take the tables of `web` that the store gives, and say so. */
export class FollowingNodes {
  /** Versions taken, and what is wrong with them: for a test to say that there is nothing. */
  readonly versions: number[] = [];
  readonly wrong: string[] = [];
  /** Reasons for which tables were refused. */
  readonly refused: string[] = [];
  table: ForwardingTable | null = null;
  private readonly nodes: FakeNode[];
  private readonly following: TableFollowing;
  private turn: Promise<void> = Promise.resolve();
  private readonly timer: NodeJS.Timeout;

  /** @param store their own */
  constructor(
    private readonly store: Store,
    names: readonly string[] = SERVERS,
  ) {
    this.nodes = names.map((name) => new FakeNode(store, name));
    this.following = followTables(store, 'web', {
      table: (table) => this.take(table),
      refused: (reason) => this.refused.push(reason),
    });
    this.timer = setInterval(() => {
      this.turn = this.turn.then(() => this.report());
    }, REPORT_MS);
  }

  get version(): number {
    return this.table?.version ?? -1;
  }

  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.turn;
    this.following.close();
    await this.store.close().catch(() => {});
  }

  private take(table: ForwardingTable): void {
    if (table.version <= this.version) this.wrong.push(`version ${table.version} after ${this.version}`);
    const bad = findBadRow(table.slots);
    if (bad !== undefined) this.wrong.push(`version ${table.version}: ${bad.code} in bucket ${bad.bucket}`);
    if (table.bucketCount !== 1024) this.wrong.push(`version ${table.version}: ${table.bucketCount} buckets`);
    this.versions.push(table.version);
    this.table = table;
  }

  private async report(): Promise<void> {
    for (const node of this.nodes) {
      node.tables = { web: this.version };
      // While the store is away, nothing is heard of them.
      await node.report().catch(() => {});
    }
  }
}
