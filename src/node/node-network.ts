import { join } from 'node:path';
import type { NodeConfig } from './config.js';
import { AppliedNetwork } from './network.js';
import type { NetworkPlan } from './network-setup.js';
import { planSynBudget, type SynBudget, setSynBudget, synBudgetDrops, synDevice } from './syn-budget.js';
import { VipNetwork, type VipRoutes } from './vip-network.js';

/** Where the way back from a node's network changes is kept, and what belongs to its other programs. */
export const STATE_DIRECTORY = '/run/twohop';

export function networkStateFile(config: NodeConfig): string {
  return join(STATE_DIRECTORY, `${config.name}.network.json`);
}

/** How old the count of dropped SYNs may be. */
const COUNT_EVERY_MS = 5000;

export function networkPlan(config: NodeConfig): Omit<NetworkPlan, 'generation'> {
  return {
    tun: config.tun.name,
    mtu: config.tun.mtu,
    persistent: config.failureMode === 'closed',
    interface: config.interface,
    steering: config.steering,
    vips: config.steer,
    localRoutes: config.localRoutes,
    stickyReplies: config.stickyReplies,
    // VIPs of a family that the configuration does not have may come at run time.
    bothFamilies: config.control.store !== null,
  };
}

export function synBudget({ tun, steering, synRate }: NodeConfig): SynBudget {
  return { tun: tun.name, steering, rate: synRate };
}

/** What a node changes about its server's network: for the VIPs of the configuration, and for those that come and go. */
export class NodeNetwork {
  /** Why SYNs are not bounded though they should be; null when they are, or need not be. */
  synBudgetFailure: string | null = null;
  private dropped = 0;
  private droppedAt = Number.NEGATIVE_INFINITY;

  private constructor(
    private config: NodeConfig,
    private applied: AppliedNetwork,
    private readonly vips: VipNetwork,
  ) {}

  /** Makes the device. @throws NetworkSetupError */
  static async prepare(config: NodeConfig): Promise<NodeNetwork> {
    const applied = await AppliedNetwork.prepare(networkPlan(config), networkStateFile(config));
    const { tun, interface: device, steering, localRoutes, stickyReplies } = config;
    const vips = new VipNetwork(
      { tun: tun.name, interface: device, steering, localRoutes, stickyReplies },
      applied,
    );
    return new NodeNetwork(config, applied, vips);
  }

  /**
   * Once the device has readers. @param routes of the VIPs that a copy of the store's has
   * @throws NetworkSetupError
   */
  async steer(routes: VipRoutes): Promise<void> {
    this.synBudgetFailure = await setSynBudget(synBudget(this.config), (line) => this.applied.willUndo(line));
    this.vips.synDevice = this.synDevice;
    // Before what an earlier node left for them is removed.
    await this.vips.serve(routes);
    await this.applied.steer(this.plan(this.config));
  }

  private get synDevice(): string | undefined {
    return this.synBudgetFailure === null ? synDevice(synBudget(this.config)) : undefined;
  }

  private plan(config: NodeConfig): Omit<NetworkPlan, 'generation'> {
    return { ...networkPlan(config), synDevice: this.synDevice };
  }

  /** What is gone is no longer answered. @throws NetworkSetupError */
  withdraw(routes: VipRoutes): Promise<void> {
    return this.vips.withdraw(routes);
  }

  /** @throws NetworkSetupError */
  serve(routes: VipRoutes): Promise<void> {
    return this.vips.serve(routes);
  }

  /** Changes what the configuration sets up. @throws NetworkSetupError; the old set-up stays then */
  async reload(next: NodeConfig): Promise<void> {
    if (JSON.stringify(networkPlan(this.config)) === JSON.stringify(networkPlan(next))) return;
    const applied = await AppliedNetwork.prepare(networkPlan(next), networkStateFile(next));
    // It stays as it is, and its way back goes along.
    for (const { undo } of planSynBudget(synBudget(next))) if (undo !== undefined) applied.willUndo(undo);
    this.vips.adopt(applied);
    await applied.steer(this.plan(next));
    this.applied = applied;
    this.config = next;
  }

  /**
   * SYNs that were dropped because they were more than the budget, as of some seconds ago; 0 where they cannot be
   * counted. Asking takes a process of its own, and a process as large as a node takes long to fork.
   */
  async synDrops(): Promise<number> {
    if (this.config.synRate === null || this.synBudgetFailure !== null) return 0;
    if (performance.now() - this.droppedAt > COUNT_EVERY_MS) {
      this.droppedAt = performance.now();
      // Somebody else may have removed the table.
      this.dropped = await synBudgetDrops(synBudget(this.config)).catch(() => 0);
    }
    return this.dropped;
  }

  /** After a start that failed: leaves what it found. */
  abandon(): Promise<void> {
    return this.applied.abandon();
  }

  /** @returns what could not be undone, as lines for a log */
  remove(): Promise<string[]> {
    return this.applied.remove();
  }
}
