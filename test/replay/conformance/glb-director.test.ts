import { describe, expect, it } from 'vitest';
import { ConformanceError } from '../../../src/replay/conformance/format.js';
import { glbDirector } from '../../../src/replay/conformance/glb-director.js';
import { checksum } from '../../../src/wire/checksum.js';
import { readVectors } from '../../vectors.js';
import { failures, runAll, runDamaged, tally } from './support.js';

interface Vector {
  in: string;
  error?: boolean;
  hash: string;
  idx: number;
  hops: string[];
  udp_sport: number;
  out_udp0?: string;
  out_dpdk?: string;
}
interface Config {
  hash_fields: Record<string, boolean> | null;
  alt_hash_fields: Record<string, boolean> | null;
  table_index: number;
  outbound_src_ip: string;
  outbound_gateway_mac: string;
  vectors: Vector[];
}
interface GlbFile {
  forwarding_table: { tables: unknown[] };
  configs: Record<string, Config>;
}

/** The file with the first vectors of each configuration. */
function small(vectors = 30): GlbFile {
  const file = readVectors<GlbFile>('glb-director');
  for (const config of Object.values(file.configs)) config.vectors.splice(vectors);
  return file;
}

describe("vectors of GitHub's director", () => {
  it('all pass', () => {
    const results = runAll(glbDirector, readVectors('glb-director'));
    expect(results.find(({ outcome }) => outcome !== 'passed')).toBeUndefined();
    expect(results).toHaveLength(2 * 1208);
    expect(new Set(results.map(({ group }) => group))).toEqual(new Set(['src-only', 'four-fields']));
  });

  it.each<[string, (vector: Vector) => void, RegExp]>([
    [
      'hash',
      (vector) => (vector.hash = vector.hash.split('').reverse().join('')),
      /^hash: expected \w{16}, got \w{16}$/,
    ],
    ['idx', (vector) => vector.idx++, /^idx: expected/],
    ['hops', (vector) => vector.hops.reverse(), /^hops: expected/],
    ['udp_sport', (vector) => vector.udp_sport--, /^udp_sport: expected/],
    ['out_udp0', (vector) => (vector.out_udp0 = `${vector.out_udp0}`.replace('beef', 'beee')), /^out_udp0:$/],
    ['out_dpdk', (vector) => (vector.out_dpdk = `${vector.out_dpdk}00`), /^out_dpdk:$/],
    ['error', (vector) => (vector.error = true), /^expected not to be encapsulated, got forward$/],
    [
      'in',
      (vector) => (vector.in = vector.in.slice(0, 60)),
      /^expected to be encapsulated, got pass_unreadable$/,
    ],
  ])('fail when %s is changed', (_, change, message) => {
    const file = small();
    change(file.configs['src-only'].vectors[7]);
    const failed = failures(glbDirector, file);
    expect(failed.map(({ name }) => name)).toEqual(['src-only/7']);
    expect(failed[0].detail[0]).toMatch(message);
  });

  it('with a second key append the hops that it names', () => {
    // Both configurations have the same packets: what one says of a packet is what the other's second key must add.
    const file = readVectors<GlbFile>('glb-director');
    const { 'src-only': plain, 'four-fields': four } = file.configs;
    const vectors = plain.vectors.map((vector, index) => withMoreHops(vector, four.vectors[index]));
    const migrating = { ...plain, alt_hash_fields: four.hash_fields, vectors };
    const results = runAll(glbDirector, { ...file, configs: { migrating } });
    expect(results.find(({ outcome }) => outcome !== 'passed')).toBeUndefined();
    expect(results).toHaveLength(1208);
  });

  it('use the table that the configuration names, and the source address where no fields are', () => {
    const file = small();
    file.configs['src-only'].hash_fields = null;
    file.configs['src-only'].alt_hash_fields = { src_addr: false };
    expect(tally(glbDirector.run(file))).toEqual({ passed: 60, failed: 0, 'not-asked': 0 });
    file.forwarding_table.tables.reverse();
    for (const config of Object.values(file.configs)) config.table_index = 1;
    expect(tally(glbDirector.run(file))).toEqual({ passed: 60, failed: 0, 'not-asked': 0 });
    file.configs['four-fields'].table_index = 2;
    expect(() => [...glbDirector.run(file)]).toThrow(
      new ConformanceError('glb-director: configs.four-fields.table_index: there is no table 2, only 2'),
    );
  });

  it('tell what is wrong with a vector, a configuration, a table', () => {
    const file = small();
    Reflect.set(file.configs['src-only'].vectors[3], 'hash', 5);
    expect(failures(glbDirector, file)[0].detail[0]).toMatch(/^vector 3 is malformed: hash: /);
    Reflect.set(file.configs['src-only'], 'outbound_src_ip', '65.65.65');
    expect(() => failures(glbDirector, file)).toThrow(
      /^glb-director: configs\.src-only\.outbound_src_ip: expected an IPv4/,
    );
    file.forwarding_table.tables.push({ hash_key: '' });
    expect(() => failures(glbDirector, file)).toThrow(
      /^glb-director: forwarding_table\.tables\[2\]\.hash_key: expected 32/,
    );
  });

  it('end with results or a clear error, whatever was done to them', () => {
    const { ran, refused } = runDamaged(glbDirector, small(3), 60);
    expect(ran).toBeGreaterThan(5);
    expect(refused).toBeGreaterThan(5);
  });
});

/** What the director would have sent with two hops more in the list. */
function withMoreHops(vector: Vector, other: Vector): Vector {
  if (vector.error) return vector;
  const bytes = Buffer.from(vector.out_udp0 ?? '', 'hex');
  const hops = other.hops.flatMap((hop) => hop.split('.').map(Number));
  const list = 14 + 20 + 8 + 8;
  const longer = Buffer.concat([bytes.subarray(0, list + 4), Buffer.from(hops), bytes.subarray(list + 4)]);
  const ip = 14;
  longer.writeUInt16BE(longer.readUInt16BE(ip + 2) + 8, ip + 2);
  longer.writeUInt16BE(longer.readUInt16BE(ip + 24) + 8, ip + 24);
  longer[ip + 28] = 4;
  longer[ip + 35] = 3;
  longer.writeUInt16BE(0, ip + 10);
  const data = new DataView(longer.buffer, longer.byteOffset, longer.length);
  longer.writeUInt16BE(checksum(data, ip, 20), ip + 10);
  const { out_dpdk: _, ...rest } = vector;
  return { ...rest, hops: [...vector.hops, ...other.hops], out_udp0: longer.toString('hex') };
}
