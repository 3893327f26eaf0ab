import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { type ClusterConfig, loadCluster } from '../../src/table/cluster.js';
import { ConfigError } from '../../src/table/yaml.js';
import { A, B } from './support.js';

const GOOD = `underlay:
  prefixes: [10.0.0.0/16]
  port: 6081
  mtu: 9000
servers:
  - { name: s1, dip: 10.0.1.1 }
  - { name: s2, dip: 10.0.2.1, weight: 2.5 }
trafficsets:
  - name: web
    kind: tcp
    vips: [192.0.2.0/24, "2001:db8:100::/64"]
    ports: [80, "8000-8999"]
    dissector: four-tuple
    table: tables/web.table
  - name: dns
    kind: request-response
    vips_from: vips/dns.txt
    table: /var/lib/dns.table
node:
  whatever: the node makes of it
`;

describe('loadCluster', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-cluster-'));
    file = join(directory, 'cluster.yaml');
    mkdirSync(join(directory, 'vips'));
    writeFileSync(
      join(directory, 'vips/dns.txt'),
      '# DNS\n192.0.2.53   # the old one\n\n  2001:db8:53::/48\r\n',
    );
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function load(text: string): ClusterConfig {
    writeFileSync(file, text);
    return loadCluster(file);
  }

  /** What is wrong with the good file after a replacement; paths without the directory. */
  function problems(from: string | RegExp, to: string): string[] {
    const text = GOOD.replace(from, to);
    expect(text).not.toBe(GOOD);
    try {
      load(text);
    } catch (error) {
      if (error instanceof ConfigError) return error.message.replaceAll(`${directory}/`, '').split('\n');
      throw error;
    }
    return [];
  }

  it('reads the sections of the fleet', () => {
    const cluster = load(GOOD);
    expect(cluster.underlay.prefixes.map(String)).toEqual(['10.0.0.0/16']);
    expect(cluster.underlay).toMatchObject({ port: 6081, mtu: 9000 });
    expect(cluster.servers).toEqual([
      { name: 's1', dip: A, weight: 1, pool: 'default' },
      { name: 's2', dip: B, weight: 2.5, pool: 'default' },
    ]);
    const [web, dns] = cluster.trafficsets;
    expect(web.vips.map(String)).toEqual(['192.0.2.0/24', '2001:db8:100::/64']);
    expect({ ...web, vips: [] }).toMatchObject({
      name: 'web',
      kind: 'tcp',
      vips: [],
      ports: [
        { first: 80, last: 80 },
        { first: 8000, last: 8999 },
      ],
      dissector: FOUR_TUPLE_SPEC,
      table: join(directory, 'tables/web.table'),
    });
    expect(dns.vips.map(String)).toEqual(['192.0.2.53/32', '2001:db8:53::/48']);
    expect(dns.ports).toEqual([{ first: 0, last: 65535 }]);
    expect(dns).toMatchObject({
      kind: 'request-response',
      dissector: FOUR_TUPLE_SPEC,
      table: '/var/lib/dns.table',
    });
  });

  it('has defaults for the underlay', () => {
    const { underlay } = load(GOOD.replace(/ {2}(port|mtu): \d+\n/g, ''));
    expect([underlay.port, underlay.mtu]).toEqual([6080, 1500]);
  });

  it('tells values that are none, with the right one where it is known', () => {
    expect(problems('10.0.0.0/16', '10.0.1.1/16')).toEqual([
      'cluster.yaml:2:14: underlay.prefixes[0]: 10.0.1.1/16 has bits behind its prefix length: write 10.0.0.0/16 for the range, or 10.0.1.1 for the one address',
    ]);
    expect(problems('10.0.0.0/16', '"fd00::/8"')[0]).toMatch(
      /underlay\.prefixes\[0\]: fd00::\/8 is an IPv6 prefix/,
    );
    expect(problems('dip: 10.0.1.1', 'dip: 10.0.1')).toEqual([
      'cluster.yaml:6:22: servers[0].dip: "10.0.1" is no IPv4 address: write it like 10.0.1.1',
    ]);
    expect(problems('dip: 10.0.1.1', 'dip: 0.0.0.0')).toEqual([
      'cluster.yaml:6:22: servers[0].dip: 0.0.0.0 is no address of a server',
    ]);
    expect(problems(', dip: 10.0.1.1', '')).toEqual([
      'cluster.yaml:6:5: servers[0].dip: expected an IPv4 address like 10.0.1.1, got nothing',
    ]);
    expect(problems('[80, "8000-8999"]', '[0, "90-80", http]')).toHaveLength(3);
    expect(problems('ports: [80, "8000-8999"]', 'ports: []')).toEqual([
      'cluster.yaml:12:5: trafficsets[0].ports: expected at least 1 entry, got []',
    ]);
    expect(problems('name: s1', 'name: S1')).toEqual([
      'cluster.yaml:6:13: servers[0].name: expected 1 to 64 of a-z, 0-9 and "-", got "S1"',
    ]);
    expect(problems('dissector: four-tuple', 'dissector: five-tuple')[0]).toMatch(
      /^cluster\.yaml:13:16: trafficsets\[0\]\.dissector: there is no dissector named five-tuple: choose four-tuple, .*$/,
    );
    expect(problems('vips: [', 'vips: [true, ')).toEqual([
      'cluster.yaml:11:12: trafficsets[0].vips[0]: expected a prefix like 192.0.2.0/24 or 2001:db8::/64, got true',
    ]);
    expect(problems('port: 6081', 'port: 65536')).toEqual([
      'cluster.yaml:3:9: underlay.port: expected at most 65535, got 65536',
    ]);
    expect(problems('weight: 2.5', 'weight: -1')).toEqual([
      'cluster.yaml:7:40: servers[1].weight: expected at least 0, got -1',
    ]);
    expect(problems('kind: tcp', 'kind: tcp\n    kinds: tcp')).toEqual([
      'cluster.yaml:11:5: trafficsets[0].kinds: unknown key, did you mean kind?',
    ]);
  });

  it('tells names, addresses and tables that stand twice', () => {
    expect(problems('name: s2', 'name: s1')).toEqual([
      'cluster.yaml:7:13: servers[1].name: s1 is also the name of servers[0]: make it unique',
    ]);
    expect(problems('10.0.2.1', '10.0.1.1')).toEqual([
      'cluster.yaml:7:22: servers[1].dip: 10.0.1.1 is also the dip of servers[0]: make it unique',
    ]);
    expect(problems('name: dns', 'name: web')).toEqual([
      'cluster.yaml:15:11: trafficsets[1].name: web is also the name of trafficsets[0]: make it unique',
    ]);
    expect(problems('/var/lib/dns.table', './tables/../tables/web.table')[0]).toMatch(
      /^cluster\.yaml:18:12: trafficsets\[1\]\.table: tables\/web\.table is also the table of trafficsets\[0\]/,
    );
  });

  it('tells addresses that contradict each other', () => {
    expect(problems('10.0.2.1', '10.1.2.1')[0]).toMatch(
      /^cluster\.yaml:7:22: servers\[1\]\.dip: 10\.1\.2\.1 lies in none of underlay\.prefixes \(10\.0\.0\.0\/16\)/,
    );
    expect(problems('192.0.2.0/24', '10.0.2.0/24')).toEqual([
      'cluster.yaml:11:12: trafficsets[0].vips[0]: 10.0.2.0/24 covers 10.0.2.1, the DIP of server s2: VIPs and DIPs must not overlap',
    ]);
    writeFileSync(join(directory, 'vips/dns.txt'), '0.0.0.0/0');
    expect(problems('port: 6081', 'port: 6080')).toEqual([
      'cluster.yaml:17:16: trafficsets[1].vips_from: 0.0.0.0/0 covers 10.0.1.1, the DIP of server s1: VIPs and DIPs must not overlap',
      'cluster.yaml:17:16: trafficsets[1].vips_from: 0.0.0.0/0 covers 10.0.2.1, the DIP of server s2: VIPs and DIPs must not overlap',
    ]);
  });

  it('tells trafficsets without VIPs, and those that claim the same', () => {
    expect(problems(/ {4}vips: .*\n/, '')).toEqual([
      'cluster.yaml:9:5: trafficsets[0]: has no VIPs: give at least one prefix in vips or vips_from',
    ]);
    expect(problems('request-response\n', 'tcp\n    vips: [192.0.2.0/24]\n    ports: [8000]\n')).toEqual([]);
    expect(problems('request-response\n', 'tcp\n    vips: [192.0.2.0/24]\n    ports: [80]\n')).toEqual([
      'cluster.yaml:8:1: trafficsets: trafficsets web (ports 80) and dns (ports 80) both claim 192.0.2.0/24, and neither is more specific: separate their ports, or take the range from one',
    ]);
  });

  it('tells what is wrong in a file of VIPs, line by line', () => {
    writeFileSync(join(directory, 'vips/dns.txt'), '192.0.2.53\n  192.0.2.54/24 # wrong\nfoo\n');
    expect(problems('port: 6081', 'port: 6080')).toEqual([
      'vips/dns.txt:2:3: trafficsets[1].vips_from: 192.0.2.54/24 has bits behind its prefix length: write 192.0.2.0/24 for the range, or 192.0.2.54 for the one address',
      'vips/dns.txt:3:1: trafficsets[1].vips_from: "foo" is no IPv4 address: write it like 10.0.1.1',
    ]);
    expect(problems('vips/dns.txt', 'vips/none.txt')[0]).toMatch(
      /^cluster\.yaml:17:16: trafficsets\[1\]\.vips_from: .*none\.txt: cannot be read \(ENOENT/,
    );
  });

  it('resolves paths against the directory of the file, not the current one', () => {
    writeFileSync(file, GOOD);
    expect(loadCluster(file).trafficsets[0].table).toBe(join(directory, 'tables/web.table'));
  });
});
