import type { HealthRecord } from '../store/records.js';
import { Keys } from '../store/records.js';
import type { Following, Store } from '../store/store.js';
import { formatIpv4 } from '../table/address.js';
import type { ServerConfig } from '../table/cluster.js';
import type { NodeConfig } from './config.js';
import { Checks } from './monitor/checks.js';
import { Monitors } from './monitor/monitors.js';

/** The checks that this node makes of other servers, kept to the servers and nodes that the store has. */
export class HealthChecks {
  private readonly checks: Checks;
  private readonly monitors: Monitors;
  private readonly following: Following;
  private readonly nodes = new Set<string>();

  constructor(
    store: Store,
    config: NodeConfig,
    servers: readonly ServerConfig[],
    events: {
      report(record: HealthRecord): void;
      /** This node could not make a check. */
      problem(monitor: string, message: string): void;
    },
  ) {
    this.checks = new Checks({ dip: config.dip, port: config.underlay.port });
    this.monitors = new Monitors({
      config,
      name: config.name,
      check: this.checks.of,
      onReport: (record) => events.report(record),
      onProblem: (monitor, message) => events.problem(monitor, message),
    });
    this.setServers(servers);
    this.following = store.follow(Keys.nodes, {
      reset: ({ entries }) => {
        // None at all: the store has lost its data. Who was there will be there again in a moment.
        if (entries.length === 0) return;
        this.nodes.clear();
        for (const { key } of entries) this.nodes.add(nameIn(key));
        this.monitors.setNodes([...this.nodes]);
      },
      changes: (changes) => {
        const before = this.nodes.size;
        let replaced = false;
        for (const change of changes) {
          if (change.type === 'delete') replaced = this.nodes.delete(nameIn(change.key)) || replaced;
          else this.nodes.add(nameIn(change.entry.key));
        }
        // Most changes are reports of nodes that are known.
        if (replaced || this.nodes.size !== before) this.monitors.setNodes([...this.nodes]);
      },
      available: () => {},
    });
  }

  setServers(servers: readonly ServerConfig[]): void {
    this.monitors.setServers(servers.map(({ name, dip, pool }) => ({ name, dip: formatIpv4(dip), pool })));
  }

  async close(): Promise<void> {
    this.following.close();
    await this.monitors.close();
    await this.checks.close();
  }
}

function nameIn(key: string): string {
  return key.slice(Keys.nodes.length);
}
