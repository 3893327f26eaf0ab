import { formatIpv4 } from './address.js';
import type { ClusterConfig } from './cluster.js';
import type { HopRoles, ServerWeight } from './edit.js';
import { newcomers } from './edit-switched.js';
import type { ForwardingTable, ServerCount } from './forwarding-table.js';
import { type BadRow, findBadRow } from './rows.js';
import { hasSecondHop } from './trafficset.js';

/** What is wrong, or only odd, with a forwarding table that has the form of one. */

export interface TableProblem {
  /** An error keeps some flow from being served; a warning is a bad idea. */
  readonly severity: 'error' | 'warning';
  readonly code:
    | BadRow['code']
    | 'few-buckets'
    | 'unknown-server'
    | 'idle-server'
    | 'uneven-shares'
    | 'unknown-trafficset'
    | 'unused-second-hops';
  readonly message: string;
}

/** Fewer buckets per server make balancing coarse, and shares uneven. */
export const MIN_BUCKETS_PER_SERVER = 100;

/** A share this many times over or under its weight is told. Balancing by load moves shares, but not that far. */
const UNEVEN = 1.5;

/**
 * @param servers the servers that there are, with their weights; without them, unknown and idle servers are not told,
 *   and even shares are expected
 * @param roles which hop gets new flows
 */
export function checkTable(
  table: ForwardingTable,
  servers?: readonly ServerWeight[],
  roles: HopRoles = 'tcp',
): TableProblem[] {
  const counts = table.servers();
  const shares = roles === 'tcp' ? firstHops(counts) : newcomers(table.slots);
  return [
    ...checkRows(table),
    ...checkBuckets(table, counts),
    ...(servers === undefined ? [] : checkServers(counts, servers, shares)),
    ...checkShares(table, shares, servers),
  ];
}

/** A server, and in how many buckets it gets new flows. */
interface Share {
  readonly dip: number;
  readonly buckets: number;
}

function firstHops(counts: readonly ServerCount[]): Share[] {
  return counts.filter(({ first }) => first > 0).map(({ dip, first }) => ({ dip, buckets: first }));
}

/** The same against a configuration: its servers, and what it says of the table's trafficset. */
export function checkTableInCluster(table: ForwardingTable, cluster: ClusterConfig): TableProblem[] {
  const trafficset = cluster.trafficsets.find(({ name }) => name === table.trafficset);
  const isSwitched = trafficset !== undefined && trafficset.kind !== 'tcp' && hasSecondHop(trafficset);
  const problems = checkTable(table, cluster.servers, isSwitched ? 'udp' : 'tcp');
  if (trafficset === undefined) {
    problems.push({
      severity: 'error',
      code: 'unknown-trafficset',
      message: `the table is for trafficset ${table.trafficset}, and the configuration has ${cluster.trafficsets.map(({ name }) => name).join(', ')}`,
    });
  } else if (trafficset.kind === 'request-response' && table.servers().some(({ second }) => second > 0)) {
    problems.push({
      severity: 'warning',
      code: 'unused-second-hops',
      message: `trafficset ${table.trafficset} is of kind request-response, which has no second hop: clear them`,
    });
  }
  return problems;
}

function checkRows(table: ForwardingTable): TableProblem[] {
  const found = new Map<BadRow['code'], { first: number; count: number }>();
  for (let bad = findBadRow(table.slots); bad !== undefined; bad = findBadRow(table.slots, bad.bucket + 1)) {
    const seen = found.get(bad.code);
    found.set(bad.code, { first: seen?.first ?? bad.bucket, count: (seen?.count ?? 0) + 1 });
  }
  return [...found].map(([code, { first, count }]) => ({
    severity: 'error',
    code,
    message:
      code === 'same-slots'
        ? `${buckets(count)} the same server in both slots, the first is bucket ${first}: packets would be sent back to where they came from`
        : `${buckets(count)} no first hop, the first is bucket ${first}: their packets would be dropped`,
  }));
}

function checkBuckets(table: ForwardingTable, counts: readonly ServerCount[]): TableProblem[] {
  const perServer = table.bucketCount / counts.length;
  if (perServer >= MIN_BUCKETS_PER_SERVER || counts.length === 0) return [];
  return [
    {
      severity: 'warning',
      code: 'few-buckets',
      message: `${table.bucketCount} buckets for ${counts.length} servers: use at least ${MIN_BUCKETS_PER_SERVER} per server, so that load can be moved in small steps`,
    },
  ];
}

function checkServers(
  counts: readonly ServerCount[],
  servers: readonly ServerWeight[],
  shares: readonly Share[],
): TableProblem[] {
  const problems: TableProblem[] = [];
  const known = new Set(servers.map(({ dip }) => dip));
  for (const { dip, first, second } of counts) {
    if (known.has(dip)) continue;
    problems.push({
      severity: 'error',
      code: 'unknown-server',
      message: `${formatIpv4(dip)} stands in ${first} first and ${second} second slots, and is no server of the configuration`,
    });
  }
  const serving = new Set(shares.map(({ dip }) => dip));
  for (const { dip } of servers) {
    if (serving.has(dip)) continue;
    problems.push({
      severity: 'warning',
      code: 'idle-server',
      message: `${formatIpv4(dip)} has no slot for new flows: it gets none`,
    });
  }
  return problems;
}

function checkShares(
  table: ForwardingTable,
  shares: readonly Share[],
  servers: readonly ServerWeight[] | undefined,
): TableProblem[] {
  const weights = new Map(servers?.map(({ dip, weight }) => [dip, weight ?? 1]));
  const serving = shares.map((share) => ({ ...share, weight: weights.get(share.dip) ?? 1 }));
  const total = serving.reduce((sum, { weight }) => sum + weight, 0);
  return serving.flatMap(({ dip, buckets, weight }) => {
    const expected = (table.bucketCount * weight) / total;
    // One bucket more or less is rounding, however small the table.
    const uneven = buckets > expected * UNEVEN + 1 || buckets < expected / UNEVEN - 1;
    if (!uneven) return [];
    return {
      severity: 'warning',
      code: 'uneven-shares',
      message: `${formatIpv4(dip)} gets new flows in ${buckets} buckets where its share is ${Math.round(expected)}`,
    };
  });
}

function buckets(count: number): string {
  return count === 1 ? '1 bucket has' : `${count} buckets have`;
}
