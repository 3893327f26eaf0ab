import { type Prefix, parsePrefix } from '../table/address.js';
import { checkName } from '../table/forwarding-table.js';
import { comparePrefixes } from '../table/prefix-set.js';
import { Keys } from './records.js';
import type { Store } from './store.js';
import { readCurrent, type VipRanges, writeList } from './vip-list.js';

export { followVips, type VipEvents, type VipRefusal } from './follow-vips.js';
export type { VipRanges };

/** VIP ranges of trafficsets that come and go at run time, beside those of cluster.yaml. */

export interface VipEdit {
  /** As `parsePrefix` reads them. */
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export interface VipEditResult {
  readonly version: number;
  /** Ranges in force now. */
  readonly count: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** To be added, and there already (or given twice). */
  readonly alreadyThere: readonly string[];
  /** To be removed, and not there. */
  readonly notThere: readonly string[];
}

/**
 * Adds and removes ranges; several at the same time do not undo one another. Writes nothing when nothing changes.
 * @throws TableError `bad-name`, `bad-address`, `bad-prefix`, `host-bits`; @throws StoreError
 */
export async function editVips(store: Store, trafficset: string, edit: VipEdit): Promise<VipEditResult> {
  checkName(trafficset);
  const add = (edit.add ?? []).map(parsePrefix);
  const remove = (edit.remove ?? []).map(parsePrefix);
  for (;;) {
    const now = await readCurrent(store, trafficset);
    const ranges = new Map(now.ranges.map((range) => [range, parsePrefix(range)]));
    const result = {
      removed: [] as string[],
      notThere: [] as string[],
      added: [] as string[],
      alreadyThere: [] as string[],
    };
    for (const prefix of remove) {
      const gone = ranges.delete(prefix.toString());
      (gone ? result.removed : result.notThere).push(prefix.toString());
    }
    for (const prefix of add) {
      const range = prefix.toString();
      (ranges.has(range) ? result.alreadyThere : result.added).push(range);
      ranges.set(range, prefix);
    }
    const unchanged = result.added.length === 0 && result.removed.length === 0;
    if (unchanged) return { version: now.version, count: ranges.size, ...result };
    const next = { trafficset, version: now.version + 1, ranges: sorted(ranges.values()) };
    if (await writeList(store, next, now)) {
      return { version: next.version, count: next.ranges.length, ...result };
    }
  }
}

/** @returns version 0 and no ranges when there never was one. @throws StoreError `damaged`, and others */
export async function readVips(store: Store, trafficset: string): Promise<VipRanges> {
  const { version, ranges } = await readCurrent(store, trafficset);
  return { trafficset, version, ranges };
}

/**
 * Gives a store that lost its data what it had.
 * @returns false when there is something already: nothing was done
 * @throws StoreError
 */
export async function restoreVips(store: Store, vips: VipRanges): Promise<boolean> {
  return writeList(store, vips, { revision: 0, manifest: null });
}

function sorted(prefixes: Iterable<Prefix>): string[] {
  return [...prefixes].sort(comparePrefixes).map(String);
}

/** Names of the trafficsets that have ranges in the store. @throws StoreError */
export async function trafficsetsWithVips(store: Store): Promise<string[]> {
  const { entries } = await store.list(Keys.vips);
  return entries.map(({ key }) => key.slice(Keys.vips.length));
}
