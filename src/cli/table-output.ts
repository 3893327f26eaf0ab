import { createHash } from 'node:crypto';
import Table from 'cli-table3';
import { formatIpv4 } from '../table/address.js';
import type { ChangeKind, TableDiff } from '../table/diff.js';
import type { ForwardingTable } from '../table/forwarding-table.js';

/** Forwarding tables in words, for `twohop table`. */

/** `trafficset web, version 3, 65536 buckets, 4 servers` */
export function summarize(table: ForwardingTable): string {
  const servers = table.servers().length;
  return `trafficset ${table.trafficset}, version ${table.version}, ${table.bucketCount} buckets, ${count(servers, 'server')}`;
}

export function describeTable(table: ForwardingTable): string {
  const share = (slots: number) => `${((100 * slots) / table.bucketCount).toFixed(2)}%`;
  const rows = table
    .servers()
    .map(({ dip, first, second }) => [formatIpv4(dip), first, share(first), second, share(second)]);
  return [
    summarize(table),
    `hash key fingerprint ${fingerprint(table.hashKey)}`,
    grid(['server', 'first hop of', '', 'second hop of', ''], rows),
  ].join('\n');
}

/** Buckets `first` to `last`, as far as there are so many. */
export function describeRows(table: ForwardingTable, first: number, last: number): string {
  const rows: (string | number)[][] = [];
  for (let bucket = first; bucket <= Math.min(last, table.mask); bucket++) {
    rows.push([bucket, hop(table.firstHop(bucket)), hop(table.secondHop(bucket))]);
  }
  if (rows.length === 0) return `there is no bucket ${first}: the last is ${table.mask}`;
  return grid(['bucket', 'first hop', 'second hop'], rows);
}

const MEANING: Readonly<Record<ChangeKind, string>> = {
  swapped: 'hops exchanged: breaks nothing',
  'handed-over': 'another first hop, the old one is second',
  replaced: 'another first hop, the old one is gone',
  'second-hop-cleared': 'second hop gone',
  'second-hop-changed': 'another second hop',
};

/** @param heading the first line */
export function describeDiff(
  diff: TableDiff,
  heading = `version ${diff.versionBefore} -> ${diff.versionAfter}`,
): string {
  const parts = [heading];
  if (diff.trafficsetChanged) parts.push('the tables are for different trafficsets');
  if (diff.hashKeyChanged) parts.push('the hash keys differ: every flow moves to another bucket');
  if (diff.bucketCountChanged)
    parts.push('the numbers of buckets differ: every flow moves to another bucket');
  if (!diff.bucketCountChanged) parts.push(describeChanges(diff));
  if (diff.servers.length > 0) {
    const rows = diff.servers.map((server) => [
      formatIpv4(server.dip),
      change(server.firstBefore, server.firstAfter),
      change(server.secondBefore, server.secondAfter),
    ]);
    parts.push(grid(['server', 'first hop of', 'second hop of'], rows));
  }
  if (diff.rows.length > 0) {
    const rows = diff.rows.map(({ bucket, kind, before, after }) => [
      bucket,
      before.map(hop).join(', '),
      after.map(hop).join(', '),
      kind,
    ]);
    parts.push(grid(['bucket', 'before', 'after', 'change'], rows));
    if (diff.changed > diff.rows.length) parts.push(`and ${diff.changed - diff.rows.length} more`);
  }
  return parts.join('\n');
}

/** All of a diff for programs: addresses in dotted form, no second hop as null. */
export function diffToJson(diff: TableDiff): string {
  return JSON.stringify(diffToData(diff), null, 2);
}

export function diffToData(diff: TableDiff): object {
  const address = (dip: number) => (dip === 0 ? null : formatIpv4(dip));
  const servers = diff.servers.map((server) => ({ ...server, dip: address(server.dip) }));
  const rows = diff.rows.map((row) => ({
    ...row,
    before: row.before.map(address),
    after: row.after.map(address),
  }));
  return { ...diff, servers, rows };
}

function describeChanges(diff: TableDiff): string {
  if (diff.changed === 0) return 'all rows are the same';
  const kinds = (Object.keys(MEANING) as ChangeKind[])
    .filter((kind) => diff.counts[kind] > 0)
    .map((kind) => [kind, diff.counts[kind], MEANING[kind]]);
  const losing =
    diff.losing === 0
      ? 'no established connection breaks'
      : `${count(diff.losing, 'bucket')} lost a server: its connections there break`;
  return `${count(diff.changed, 'bucket')} changed; ${losing}\n${grid(['change', 'buckets', 'meaning'], kinds)}`;
}

/** The key is a secret; whether two tables have the same one is not. */
export function fingerprint(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

function hop(dip: number): string {
  return dip === 0 ? '-' : formatIpv4(dip);
}

function change(before: number, after: number): string {
  const delta = after - before;
  return delta === 0 ? `${after}` : `${before} -> ${after} (${delta > 0 ? '+' : ''}${delta})`;
}

export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

export function grid(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
