import type { ForwardingTable } from './forwarding-table.js';

/**
 * What an update of a forwarding table changes, and which established connections it can break: those of a server that
 * stood in a bucket before and stands in neither of its slots after.
 */

/** What happened to a bucket. */
export type ChangeKind =
  /** First and second hop were exchanged: breaks nothing. */
  | 'swapped'
  /** Another server became first hop, and the old one second. */
  | 'handed-over'
  /** Another server became first hop, and the old one is gone. */
  | 'replaced'
  /** Same first hop; the second hop is gone. */
  | 'second-hop-cleared'
  /** Same first hop; another second hop. */
  | 'second-hop-changed';

export interface ChangedRow {
  readonly bucket: number;
  readonly kind: ChangeKind;
  /** First and second hop, host-order addresses, 0 = none. */
  readonly before: readonly [number, number];
  readonly after: readonly [number, number];
}

export interface ServerDelta {
  readonly dip: number;
  readonly firstBefore: number;
  readonly firstAfter: number;
  readonly secondBefore: number;
  readonly secondAfter: number;
}

export interface TableDiff {
  /** Whether the tables are for different trafficsets or send any flow differently; versions do not count. */
  readonly differs: boolean;
  readonly trafficsetChanged: boolean;
  /** Another key moves every flow to another bucket. */
  readonly hashKeyChanged: boolean;
  /** Another number of buckets does, too; rows are not compared then. */
  readonly bucketCountChanged: boolean;
  readonly versionBefore: number;
  readonly versionAfter: number;
  /** Buckets by what happened to them. */
  readonly counts: Readonly<Record<ChangeKind, number>>;
  readonly changed: number;
  /** Changed buckets from which a server disappeared: connections that it has there break. */
  readonly losing: number;
  /** Servers whose number of slots changed, by address. */
  readonly servers: readonly ServerDelta[];
  /** The first changed rows, up to the limit asked for. */
  readonly rows: readonly ChangedRow[];
}

/** @param maxRows how many changed rows to list */
export function diffTables(before: ForwardingTable, after: ForwardingTable, maxRows = 20): TableDiff {
  const counts: Record<ChangeKind, number> = {
    swapped: 0,
    'handed-over': 0,
    replaced: 0,
    'second-hop-cleared': 0,
    'second-hop-changed': 0,
  };
  const rows: ChangedRow[] = [];
  let changed = 0;
  let losing = 0;
  const bucketCountChanged = before.bucketCount !== after.bucketCount;
  const comparable = bucketCountChanged ? 0 : before.bucketCount;
  for (let bucket = 0; bucket < comparable; bucket++) {
    const old = [before.firstHop(bucket), before.secondHop(bucket)] as const;
    const now = [after.firstHop(bucket), after.secondHop(bucket)] as const;
    if (old[0] === now[0] && old[1] === now[1]) continue;
    const kind = kindOf(old, now);
    counts[kind]++;
    changed++;
    if (old.some((dip) => dip !== 0 && !now.includes(dip))) losing++;
    if (rows.length < maxRows) rows.push({ bucket, kind, before: old, after: now });
  }
  const trafficsetChanged = before.trafficset !== after.trafficset;
  const hashKeyChanged = before.key0 !== after.key0 || before.key1 !== after.key1;
  return {
    differs: trafficsetChanged || hashKeyChanged || bucketCountChanged || changed > 0,
    trafficsetChanged,
    hashKeyChanged,
    bucketCountChanged,
    versionBefore: before.version,
    versionAfter: after.version,
    counts,
    changed,
    losing,
    servers: serverDeltas(before, after),
    rows,
  };
}

function kindOf(old: readonly [number, number], now: readonly [number, number]): ChangeKind {
  if (old[0] === now[0]) return now[1] === 0 ? 'second-hop-cleared' : 'second-hop-changed';
  if (old[0] !== now[1]) return 'replaced';
  return old[1] === now[0] ? 'swapped' : 'handed-over';
}

function serverDeltas(before: ForwardingTable, after: ForwardingTable): ServerDelta[] {
  const old = new Map(before.servers().map((count) => [count.dip, count]));
  const now = new Map(after.servers().map((count) => [count.dip, count]));
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort((a, b) => a - b)
    .map((dip) => ({
      dip,
      firstBefore: old.get(dip)?.first ?? 0,
      firstAfter: now.get(dip)?.first ?? 0,
      secondBefore: old.get(dip)?.second ?? 0,
      secondAfter: now.get(dip)?.second ?? 0,
    }))
    .filter((delta) => delta.firstBefore !== delta.firstAfter || delta.secondBefore !== delta.secondAfter);
}
