import { Prefix, parsePrefix } from '../table/address.js';
import { TableError } from '../table/errors.js';
import { aggregatePrefixes } from '../table/prefix-set.js';
import type { SharedVips } from '../table/vip-compile.js';
import type { NodeConfig } from './config.js';
import type { VipGauge } from './control-metrics.js';
import { CopyWriter } from './copy-writer.js';
import { InUse } from './in-use.js';
import type { Refusal } from './table-set.js';
import { readVipCopy, vipCopyPath, vipCopyText } from './vip-copy.js';
import type { VipRoutes } from './vip-network.js';
import { planVips } from './vip-plan.js';
import { VipRanges } from './vip-ranges.js';

/** All VIPs there are now: for the workers, for the network, for the router. */
export interface VipState {
  readonly ranges: VipRanges;
  readonly vips: SharedVips;
  /** Beside what the configuration sets up. */
  readonly routes: VipRoutes;
  /** All VIPs, as few prefixes as say the same. */
  readonly announced: readonly Prefix[];
}

export interface NodeVipsEvents {
  refused(trafficset: string, refusal: Refusal): void;
  copyFailed(trafficset: string, message: string): void;
}

/** The VIPs of a node: those of its configuration, and the ranges that come and go in the store. */
export class NodeVips {
  private current: VipState;
  private readonly inUse = new Map<string, InUse>();
  private readonly copies = new Map<string, CopyWriter>();

  constructor(
    private readonly config: () => NodeConfig,
    private readonly events: NodeVipsEvents,
  ) {
    const state = stateOf(config(), VipRanges.none);
    // The configuration's own check has ruled this out.
    if ('reason' in state) throw new Error(state.message);
    this.current = state;
  }

  get state(): VipState {
    return this.current;
  }

  /** What the configuration is with these ranges added. */
  get effective(): NodeConfig {
    return this.current.ranges.addedTo(this.config());
  }

  /** Takes what the node had from the store in its life before. */
  readCopies(): void {
    for (const { name, table } of this.config().trafficsets) {
      const path = vipCopyPath(table);
      try {
        const set = readVipCopy(path, name);
        if (set === null) continue;
        const next = stateOf(this.config(), this.current.ranges.with(name, set));
        if ('reason' in next) this.events.refused(name, next);
        else this.current = next;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.events.refused(name, { reason: 'unreadable', message });
      }
    }
  }

  /**
   * What the VIPs would be with these ranges of a trafficset.
   * @param ranges prefixes as text, all of them
   * @returns null when they are in use already, or refused
   */
  judge(trafficset: string, version: number, ranges: readonly string[]): VipState | null {
    const refuse = (refusal: Refusal) => {
      this.events.refused(trafficset, refusal);
      return null;
    };
    if (!this.config().trafficsets.some(({ name }) => name === trafficset)) {
      return refuse({
        reason: 'unknown-trafficset',
        message: `there is no trafficset ${trafficset} in the configuration`,
      });
    }
    const held = this.current.ranges.version(trafficset);
    if (version === held) return null;
    if (version < held) {
      const message = `version ${version} of the VIP ranges is older than version ${held}, which is in use`;
      return refuse({ reason: 'older-version', message });
    }
    try {
      const set = { version, prefixes: ranges.map(parsePrefix) };
      const next = stateOf(this.config(), this.current.ranges.with(trafficset, set));
      return 'reason' in next ? refuse(next) : next;
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return refuse({ reason: error.code, message: error.message });
    }
  }

  /** The same ranges under another configuration. */
  under(config: NodeConfig): VipState | Refusal {
    return stateOf(config, this.current.ranges);
  }

  /** From now on these count. */
  use(state: VipState): void {
    this.current = state;
  }

  /** Keeps a copy of what a trafficset has now, for a start without the store. */
  keep(trafficset: string, version: number, ranges: readonly string[]): void {
    const table = this.config().trafficsets.find(({ name }) => name === trafficset)?.table;
    if (table === undefined) return;
    const path = vipCopyPath(table);
    let copy = this.copies.get(path);
    if (copy === undefined) {
      copy = new CopyWriter(path, (message) => this.events.copyFailed(trafficset, message));
      this.copies.set(path, copy);
    }
    copy.write(() => vipCopyText(trafficset, version, ranges));
  }

  /** Notes that the workers were told of the current ranges, in a message with this number. */
  told(sequence: number): void {
    for (const { name } of this.config().trafficsets) {
      const inUse = this.inUse.get(name) ?? new InUse(0);
      this.inUse.set(name, inUse);
      inUse.tell(sequence, this.current.ranges.version(name));
    }
  }

  /** @param taken the last message that every worker has taken */
  gauges(taken: number): VipGauge[] {
    return this.config().trafficsets.map(({ name }) => ({
      trafficset: name,
      version: this.inUse.get(name)?.get(taken) ?? 0,
      ranges: this.current.ranges.count(name),
    }));
  }

  /** Resolves when the copies are written. */
  async settled(): Promise<void> {
    for (const copy of this.copies.values()) await copy.settled();
  }
}

function stateOf(config: NodeConfig, ranges: VipRanges): VipState | Refusal {
  const compiled = ranges.compile(config);
  if ('reason' in compiled) return compiled;
  const keepOut = [
    ...config.underlay.prefixes,
    ...[config.dipNumber, ...config.servers.map(({ dip }) => dip)].map((dip) => new Prefix(4, [dip], 32)),
  ];
  const routes = planVips(ranges.all(), config.steer, keepOut);
  if (routes === null) {
    return {
      reason: 'too-many-prefixes',
      message: 'no few prefixes cover the VIPs without the addresses of servers: name some in node.steer',
    };
  }
  const all = config.trafficsets.flatMap(({ vips }) => vips);
  return { ranges, vips: compiled.vips, routes, announced: aggregatePrefixes([...all, ...ranges.all()]) };
}
