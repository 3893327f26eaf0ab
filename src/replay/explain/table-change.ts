import type { FlowKey } from '../../flow/flow-key.js';
import { halfSipHash24 } from '../../flow/halfsiphash.js';
import type { ForwardingTable } from '../../table/forwarding-table.js';
import { hasSecondHop, type TrafficsetConfig } from '../../table/trafficset.js';

/** One flow under two tables. Addresses are host-order numbers, 0 for none. */
export interface TableChange {
  readonly before: TableRow;
  readonly after: TableRow;
  /** Sentences on what becomes of this flow. */
  readonly effects: readonly string[];
}

export interface TableRow {
  readonly version: number;
  readonly hash: number;
  readonly bucket: number;
  readonly buckets: number;
  readonly firstHop: number;
  readonly secondHop: number;
}

/** @param name how a server is called, by address */
export function tableChange(
  key: FlowKey,
  set: TrafficsetConfig,
  before: ForwardingTable,
  after: ForwardingTable,
  name: (dip: number) => string,
): TableChange {
  const old = rowOf(key, before, set);
  const now = rowOf(key, after, set);
  return { before: old, after: now, effects: effectsOf(set, old, now, name) };
}

function rowOf(key: FlowKey, table: ForwardingTable, set: TrafficsetConfig): TableRow {
  const hash = halfSipHash24(key.words, key.length, table.key0, table.key1) >>> 0;
  const bucket = (hash & table.mask) >>> 0;
  return {
    version: table.version,
    hash,
    bucket,
    buckets: table.bucketCount,
    firstHop: table.firstHop(bucket),
    secondHop: hasSecondHop(set) ? table.secondHop(bucket) : 0,
  };
}

function effectsOf(
  set: TrafficsetConfig,
  old: TableRow,
  now: TableRow,
  name: (dip: number) => string,
): string[] {
  if (!hasSecondHop(set)) {
    const what = set.kind === 'request-response' ? 'the next request' : 'the next packet of the session';
    return [moved(what, old.firstHop, now.firstHop, name)];
  }
  const newcomers = (row: TableRow) => (set.kind === 'tcp' ? row.firstHop : row.secondHop || row.firstHop);
  const effects = [moved('a new flow with this key', newcomers(old), newcomers(now), name)];
  const homes = new Set([old.firstHop, old.secondHop].filter((dip) => dip !== 0));
  for (const home of homes) effects.push(established(home, now, name));
  return effects;
}

function moved(what: string, from: number, to: number, name: (dip: number) => string): string {
  return from === to
    ? `${what} goes to ${name(to)}, as before`
    : `${what} goes to ${name(to)}, no longer to ${name(from)}`;
}

/** What becomes of a flow whose socket is on `home`. */
function established(home: number, now: TableRow, name: (dip: number) => string): string {
  const flow = `if it lives on ${name(home)}`;
  if (home === now.firstHop) return `${flow}, it stays: that is the first hop`;
  if (home === now.secondHop)
    return `${flow}, it stays: ${name(now.firstHop)} does not have it and passes it on`;
  return `${flow}, it BREAKS: the bucket no longer names that server`;
}
