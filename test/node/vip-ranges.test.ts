import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_STEERED_PREFIXES } from '../../src/node/network-setup.js';
import { readVipCopy, vipCopyPath, vipCopyText } from '../../src/node/vip-copy.js';
import { planVips } from '../../src/node/vip-plan.js';
import { VipRanges } from '../../src/node/vip-ranges.js';
import { parsePrefix } from '../../src/table/address.js';
import { type ClusterConfig, loadCluster } from '../../src/table/cluster.js';
import { VipMatcher } from '../../src/table/vip-matcher.js';

const SERVICES = `
underlay: { prefixes: [10.0.0.0/16] }
servers:
  - { name: s1, dip: 10.0.1.1 }
  - { name: s2, dip: 10.0.2.1 }
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24], ports: [80], table: web.table }
  - { name: tls, kind: tcp, vips: [192.0.2.0/24], ports: [443], table: tls.table }
  - { name: all, kind: tcp, vips: [198.51.100.0/24], table: all.table }
  - { name: dns, kind: request-response, vips: [198.51.100.0/24], table: dns.table }
`;

function cluster(): ClusterConfig {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-vips-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'cluster.yaml'), SERVICES);
  return loadCluster(join(directory, 'cluster.yaml'));
}

const set = (version: number, ...ranges: string[]) => ({ version, prefixes: ranges.map(parsePrefix) });

describe('VIP ranges that come at run time', () => {
  it('are VIPs of their trafficset, beside those of the configuration', () => {
    const config = cluster();
    const ranges = VipRanges.none.with('web', set(3, '203.0.113.0/24', '2001:db8::/64'));
    const compiled = ranges.compile(config);
    if ('reason' in compiled) throw new Error(compiled.message);
    const matcher = VipMatcher.fromShared(compiled.vips);
    const at = (address: number, port: number) => matcher.match4(address | 0, 6, port);
    expect([at(0xcb007105, 80), at(0xc0000201, 80), at(0xc0000201, 443)]).toEqual([0, 0, 1]);
    expect(at(0xcb007105, 443)).toBeLessThan(0);
    expect([ranges.version('web'), ranges.version('tls')]).toEqual([3, 0]);
    expect(ranges.addedTo(config).trafficsets[0].vips.map(String)).toEqual([
      '192.0.2.0/24',
      '203.0.113.0/24',
      '2001:db8::/64',
    ]);
  });

  it.each([
    [
      'a DIP',
      'web',
      '10.0.2.0/24',
      /10\.0\.2\.0\/24 of trafficset web covers 10\.0\.2\.1, the DIP of server s2/,
    ],
    [
      "another trafficset's range",
      'web',
      '198.51.100.7',
      /198\.51\.100\.7\/32 of trafficset web overlaps 198\.51\.100\.0\/24 of trafficset all/,
    ],
    [
      'a range around',
      'all',
      '192.0.0.0/16',
      /192\.0\.2\.0\/24 of trafficset (web|tls) overlaps 192\.0\.0\.0\/16 of trafficset all/,
    ],
  ])('are refused over %s', (_what, trafficset, range, message) => {
    const compiled = VipRanges.none.with(trafficset, set(1, range)).compile(cluster());
    expect(compiled).toMatchObject({ reason: 'overlap', message: expect.stringMatching(message) });
  });

  it('may be those of another trafficset with other ports or another protocol', () => {
    const ranges = VipRanges.none
      .with('web', set(1, '203.0.113.0/24'))
      .with('tls', set(1, '203.0.113.0/24'))
      .with('dns', set(1, '203.0.113.0/25'));
    expect(ranges.compile(cluster())).toHaveProperty('vips');
  });

  it('may lie over those of another trafficset that came at run time no more than over written ones', () => {
    const ranges = VipRanges.none.with('web', set(1, '203.0.113.0/24')).with('all', set(1, '203.0.113.9'));
    expect(ranges.compile(cluster())).toMatchObject({ reason: 'overlap' });
  });

  it('by the hundred thousand are steered by few filters that leave the servers alone', () => {
    const added = Array.from({ length: 100_000 }, (_, i) =>
      parsePrefix(`20.${i >> 15}.${(i >> 7) & 255}.${(2 * i) & 255}`),
    );
    const dips = ['20.1.3.1', '20.1.5.1'].map(parsePrefix);
    const routes = planVips(added, [parsePrefix('192.0.2.0/24')], dips);
    expect(routes?.local).toHaveLength(100_000);
    expect(routes?.steered.length).toBeLessThan(MAX_STEERED_PREFIXES);
    for (const dip of dips) {
      expect(routes?.steered.some((cover) => cover.contains4(dip.words[0]))).toBe(false);
    }
  });

  it('that the configuration steers and delivers anyway need nothing more', () => {
    const routes = planVips(
      ['20.1.0.0/24', '30.0.0.0/24'].map(parsePrefix),
      ['20.0.0.0/8', '192.0.2.0/24'].map(parsePrefix),
      [],
    );
    expect(routes?.steered.map(String)).toEqual(['30.0.0.0/24']);
    expect(routes?.local.map(String)).toEqual(['30.0.0.0/24']);
  });

  it('are kept in a copy that is read whole or not at all', () => {
    const directory = mkdtempSync(join(tmpdir(), 'twohop-copy-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = vipCopyPath(join(directory, 'web.table'));
    expect(path).toBe(join(directory, 'web.vips'));
    expect(readVipCopy(path, 'web')).toBeNull();
    for (const ranges of [[], ['192.0.2.0/24', '2001:db8::/64']]) {
      writeFileSync(path, vipCopyText('web', 7, ranges));
      const copy = readVipCopy(path, 'web');
      expect(copy?.version).toBe(7);
      expect(copy?.prefixes.map(String)).toEqual(ranges);
    }
    expect(() => readVipCopy(path, 'tls')).toThrow(/not a whole copy of the VIP ranges of tls/);
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20));
    expect(() => readVipCopy(path, 'web')).toThrow(/not a whole copy/);
  });
});
