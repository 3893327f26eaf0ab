import { describe, expect, it } from 'vitest';
import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { parsePrefix } from '../../src/table/address.js';
import { checkTable, checkTableInCluster } from '../../src/table/check.js';
import type { ClusterConfig } from '../../src/table/cluster.js';
import { NO_CONTROL } from '../../src/table/control.js';
import { drain, makeTable } from '../../src/table/edit.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import { ALL_PORTS, type TrafficsetKind } from '../../src/table/trafficset.js';
import { A, B, C, KEY, tableOf } from './support.js';

const servers = [{ dip: A }, { dip: B }, { dip: C }];
const good = makeTable({ trafficset: 'web', hashKey: KEY, buckets: 512, servers });

function found(table: ForwardingTable, known?: typeof servers): string[] {
  return checkTable(table, known).map(({ severity, code }) => `${severity} ${code}`);
}

describe('checkTable', () => {
  it('finds nothing in a table just made', () => {
    expect(found(good)).toEqual([]);
    expect(found(good, servers)).toEqual([]);
  });

  it('finds rows that no node can use', () => {
    const rows: [number, number][] = Array.from({ length: 512 }, (_, bucket) => [bucket % 2 ? A : B, 0]);
    rows[7] = [A, A];
    rows[9] = [B, B];
    rows[20] = [0, A];
    const problems = checkTable(tableOf(rows));
    expect(problems.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'error same-slots',
      'error empty-first-hop',
    ]);
    expect(problems[0].message).toMatch(
      /^2 buckets have the same server in both slots, the first is bucket 7/,
    );
    expect(problems[1].message).toMatch(/^1 bucket has no first hop, the first is bucket 20/);
  });

  it('warns of too few buckets', () => {
    const table = (buckets: number) => makeTable({ trafficset: 'web', hashKey: KEY, buckets, servers });
    expect(found(table(256))).toEqual(['warning few-buckets']);
    expect(found(table(512))).toEqual([]);
    // A drained server still counts: it will come back.
    expect(found(drain(table(256), A, { keepSecondHop: true }))).toEqual(['warning few-buckets']);
  });

  it('compares with the servers that there are', () => {
    expect(found(good, [{ dip: A }, { dip: B }])).toEqual(['error unknown-server']);
    expect(found(good, [...servers, { dip: 0x0a000901 }])).toEqual(['warning idle-server']);
    const drained = drain(good, A, { keepSecondHop: true });
    expect(found(drained, servers)).toEqual(['warning idle-server']);
    expect(found(drained, [{ dip: B }, { dip: C }])).toEqual(['error unknown-server']);
  });

  it('warns of shares that are far from even, or from the weights', () => {
    const weighted = [
      { dip: A, weight: 6 },
      { dip: B, weight: 1 },
      { dip: C, weight: 1 },
    ];
    const table = makeTable({ trafficset: 'web', hashKey: KEY, buckets: 1024, servers: weighted });
    expect(found(table)).toEqual(['warning uneven-shares', 'warning uneven-shares', 'warning uneven-shares']);
    expect(checkTable(table)[0].message).toBe(
      '10.0.1.1 gets new flows in 768 buckets where its share is 341',
    );
    expect(found(table, weighted)).toEqual([]);
  });
});

describe('checkTableInCluster', () => {
  function cluster(name: string, kind: TrafficsetKind): ClusterConfig {
    return {
      underlay: { prefixes: [parsePrefix('10.0.0.0/16')], port: 6080, mtu: 9000, icmpCopies: 10_000 },
      servers: servers.map(({ dip }, index) => ({ name: `s${index}`, dip, weight: 1, pool: 'default' })),
      control: NO_CONTROL,
      trafficsets: [
        {
          name,
          kind,
          vips: [parsePrefix('192.0.2.0/24')],
          ports: [ALL_PORTS],
          dissector: FOUR_TUPLE_SPEC,
          table: '/t',
        },
      ],
    };
  }
  const codes = (table: ForwardingTable, config: ClusterConfig) =>
    checkTableInCluster(table, config).map(({ severity, code }) => `${severity} ${code}`);

  it('knows the trafficset', () => {
    expect(codes(good, cluster('web', 'tcp'))).toEqual([]);
    expect(codes(good, cluster('dns', 'tcp'))).toEqual(['error unknown-trafficset']);
  });

  it('warns of second hops that its kind does not use', () => {
    const drained = drain(good, A, { keepSecondHop: true });
    expect(codes(good, cluster('web', 'request-response'))).toEqual([]);
    expect(codes(drained, cluster('web', 'request-response'))).toEqual([
      'warning idle-server',
      'warning unused-second-hops',
    ]);
    expect(codes(drained, cluster('web', 'tcp'))).toEqual(['warning idle-server']);
  });

  it('knows that new UDP flows go to the second hop', () => {
    const tcp = drain(good, A, { keepSecondHop: true });
    const udp = drain(good, A, { keepSecondHop: true, roles: 'udp' });
    expect(codes(tcp, cluster('web', 'udp-flow'))).toEqual([]);
    expect(codes(udp, cluster('web', 'udp-flow'))).toEqual(['warning idle-server']);
    expect(codes(udp, cluster('web', 'tcp'))).toEqual([]);
  });
});
