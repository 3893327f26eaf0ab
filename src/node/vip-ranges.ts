import { formatIpv4, type Prefix } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { comparePrefixes, containsPrefix } from '../table/prefix-set.js';
import { protocolsOf, type TrafficsetConfig } from '../table/trafficset.js';
import { compileVips, type SharedVips } from '../table/vip-compile.js';
import type { Refusal } from './table-set.js';

/** VIP ranges of a trafficset that came at run time. */
export interface RangeSet {
  /** From 1; see `store/vips.ts`. */
  readonly version: number;
  readonly prefixes: readonly Prefix[];
}

/** The VIP ranges that came at run time, beside those of the configuration. Immutable. */
export class VipRanges {
  static readonly none = new VipRanges(new Map());

  private constructor(private readonly sets: ReadonlyMap<string, RangeSet>) {}

  /** These, with others for one trafficset. */
  with(trafficset: string, set: RangeSet): VipRanges {
    return new VipRanges(new Map(this.sets).set(trafficset, set));
  }

  /** 0 for a trafficset that has none. */
  version(trafficset: string): number {
    return this.sets.get(trafficset)?.version ?? 0;
  }

  /** All prefixes, whatever trafficset they belong to. */
  all(): Prefix[] {
    return [...this.sets.values()].flatMap(({ prefixes }) => prefixes);
  }

  /** How many a trafficset has. */
  count(trafficset: string): number {
    return this.sets.get(trafficset)?.prefixes.length ?? 0;
  }

  /** The configuration with these ranges added to its trafficsets. */
  addedTo<Config extends ClusterConfig>(config: Config): Config {
    if (this.sets.size === 0) return config;
    return {
      ...config,
      trafficsets: config.trafficsets.map((trafficset) => {
        const own = this.sets.get(trafficset.name)?.prefixes ?? [];
        return own.length === 0 ? trafficset : { ...trafficset, vips: [...trafficset.vips, ...own] };
      }),
    };
  }

  /** All VIPs together, ready for the workers; or what speaks against these ranges. */
  compile(config: ClusterConfig): { readonly vips: SharedVips } | Refusal {
    const whole = this.addedTo(config);
    const clash = this.overDip(config) ?? overlap(whole.trafficsets, config.trafficsets);
    if (clash !== null) return { reason: 'overlap', message: clash };
    try {
      return { vips: compileVips(whole.trafficsets) };
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return { reason: error.code, message: error.message };
    }
  }

  /** A server must be reachable by its DIP, whatever happens to the VIPs. */
  private overDip({ servers }: ClusterConfig): string | null {
    const sorted = [...servers].sort((a, b) => a.dip - b.dip);
    const dips = sorted.map(({ dip }) => dip);
    for (const [trafficset, { prefixes }] of this.sets) {
      for (const prefix of prefixes) {
        if (prefix.version !== 4) continue;
        const next = firstAtLeast(dips, prefix.words[0]);
        if (next === dips.length || !prefix.contains4(dips[next])) continue;
        const server = sorted[next];
        return `${prefix} of trafficset ${trafficset} covers ${formatIpv4(server.dip)}, the DIP of server ${server.name}`;
      }
    }
    return null;
  }
}

/** Index of the first number that is not below `least`. */
function firstAtLeast(ascending: readonly number[], least: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Owned {
  readonly prefix: Prefix;
  readonly trafficset: number;
  /** It came at run time: what the configuration itself nests is meant so. */
  readonly added: boolean;
}

/** Two trafficsets that would take the same packets, where a range that came at run time is one side of it. */
function overlap(whole: readonly TrafficsetConfig[], configured: readonly TrafficsetConfig[]): string | null {
  if (whole.length < 2) return null;
  const owned: Owned[] = whole.flatMap(({ vips }, trafficset) =>
    vips.map((prefix, index) => ({ prefix, trafficset, added: index >= configured[trafficset].vips.length })),
  );
  owned.sort((a, b) => comparePrefixes(a.prefix, b.prefix) || a.trafficset - b.trafficset);
  // Prefixes nest or are disjoint: those around the current one form a stack.
  const around: Owned[] = [];
  for (const one of owned) {
    let top = around.at(-1);
    while (top !== undefined && !containsPrefix(top.prefix, one.prefix)) {
      around.pop();
      top = around.at(-1);
    }
    const other = around.find(
      ({ trafficset, added }) =>
        trafficset !== one.trafficset &&
        (added || one.added) &&
        meet(whole[trafficset], whole[one.trafficset]),
    );
    if (other !== undefined) {
      const [a, b] = [one, other].map(
        ({ prefix, trafficset }) => `${prefix} of trafficset ${whole[trafficset].name}`,
      );
      return `${a} overlaps ${b}: take it from one of them`;
    }
    around.push(one);
  }
  return null;
}

/** Whether a packet can belong to either, as far as protocols and ports say. */
function meet(a: TrafficsetConfig, b: TrafficsetConfig): boolean {
  if (!protocolsOf(a).some((protocol) => protocolsOf(b).includes(protocol))) return false;
  return a.ports.some((one) => b.ports.some((two) => one.first <= two.last && two.first <= one.last));
}
