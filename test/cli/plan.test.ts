import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planCommand } from '../../src/cli/plan.js';
import { initialState, settingsOf, toTable } from '../../src/conductor/plan/index.js';
import { openStore } from '../../src/store/open.js';
import { encodeRecord, Keys } from '../../src/store/records.js';
import { publishTable } from '../../src/store/tables.js';
import { formatIpv4 } from '../../src/table/address.js';
import { loadCluster } from '../../src/table/cluster.js';
import { readTableFile, writeTableFile } from '../../src/table/table-file.js';
import { runCommand } from './run.js';

const KEY = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

describe('twohop plan', () => {
  let directory: string;
  const path = (name: string) => join(directory, name);
  const run = (...words: string[]) => runCommand(planCommand(), ['--config', path('cluster.yaml'), ...words]);
  /** With these events. */
  const events = (...list: string[]) => list.flatMap((event) => ['--event', event]);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-plan-'));
    writeCluster('');
    writeTableFile(path('web.table'), firstTable('web'));
    writeTableFile(path('dns.table'), firstTable('dns'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function writeCluster(more: string): void {
    writeFileSync(
      path('cluster.yaml'),
      `underlay: { prefixes: [10.0.0.0/16] }
servers:
  - { name: s1, dip: 10.0.1.1 }
  - { name: s2, dip: 10.0.2.1 }
  - { name: s3, dip: 10.0.3.1 }
  - { name: s4, dip: 10.0.4.1 }
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24], ports: [80], table: web.table, balance: { max_change_per_minute: 0.5 } }
  - { name: dns, kind: request-response, vips: [192.0.2.0/24], ports: [53], table: dns.table }
${more}`,
    );
  }

  function firstTable(name: string) {
    const cluster = loadCluster(path('cluster.yaml'));
    const trafficset = cluster.trafficsets.find((one) => one.name === name);
    if (trafficset === undefined) throw new Error(`no trafficset ${name}`);
    const servers = cluster.servers.map((server) => ({ ...server, standing: 'in' as const }));
    return toTable(initialState({ buckets: 1024, settings: settingsOf(trafficset), servers }), name, KEY);
  }

  it('has an example in its help', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    expect(out).toContain("twohop plan --config cluster.yaml --event 'drain s2'");
  });

  it('tells what a drain would do: buckets, rule, what breaks, second hops, shares', async () => {
    const { code, out } = await run('--from', path('web.table'), ...events('drain s2'));
    expect(code).toBe(0);
    expect(out).toContain('drain: 256 buckets from s2 to s1, s3, s4: 256 handovers; nothing breaks');
    expect(out).toContain('256 of 1024 buckets change (25 %), version 1 -> 2; nothing breaks');
    expect(out).toContain(
      'second hops: 0 % -> 25 % of the buckets; established flows of 25 % take one hop more from now on',
    );
    expect(out).toMatch(/s2 +│ drained +│ 1 +│ 256 -> 0 +│ 0 % +│ 0 -> 256/);
  });

  it('applies events one after another, and lets time pass', async () => {
    const { code, out } = await run(
      ...['--trafficset', 'web', '--json'],
      ...events('add s5=10.0.5.1,weight=4', 'wait 60', 'fail s1', 'recover s1', 'die s5', 'weight s2=0'),
    );
    expect(code).toBe(0);
    const { outcomes } = JSON.parse(out);
    expect(outcomes.map(({ event }: { event: string }) => event.split(' ')[0])).toEqual([
      'add',
      'wait',
      'fail',
      'recover',
      'die',
      'weight',
    ]);
    const newFlows = (at: number, name: string) =>
      outcomes[at].servers.find((server: { name: string }) => server.name === name)?.newFlows[1];
    // Half of the table may change in a minute, which is what the new server is to have.
    expect([newFlows(0, 's5'), newFlows(1, 's5')]).toEqual([512, 512]);
    expect(newFlows(2, 's1')).toBe(0);
    expect(newFlows(3, 's1')).toBeGreaterThan(0);
    expect(newFlows(4, 's5')).toBe(0);
    expect(outcomes[5].version).toBeGreaterThan(outcomes[0].version);
  });

  it('says what waits, and until when', async () => {
    const { out } = await run(
      '--trafficset',
      'web',
      ...events('add s5=10.0.5.1,weight=16', 'wait 59', 'wait 1'),
    );
    expect(out).toContain('no more than 50 % of the table may change in a minute');
    expect(out).toContain('the next is possible in 60 seconds');
    const [, during, after] = out.split('\n\n');
    expect(during).toContain('nothing changes: version 2 stays');
    expect(after).toContain('version 2 -> 3');
  });

  it('plans a balance step from samples of load, and speaks of no second hop where there is none', async () => {
    const { code, out } = await run('--trafficset', 'dns', ...events('load s1=0.9,s2=0.5,s3=0.5,s4=0.5'));
    expect(code).toBe(0);
    expect(out).toMatch(/balance: \d+ buckets from s1 to s2, s3, s4: \d+ moved; nothing breaks/);
    expect(out).not.toContain('second hops');
  });

  it('says when nobody would be left, and changes nothing', async () => {
    const { code, out } = await run(
      '--trafficset',
      'web',
      ...events('drain s1', 'drain s2', 'drain s3', 'fail s4'),
    );
    expect(code).toBe(0);
    expect(out).toContain('this would leave web without a server for new flows: its table stays as it is');
  });

  it('tells what would be done anyway apart from the events', async () => {
    writeFileSync(
      path('cluster.yaml'),
      readFileSync(path('cluster.yaml'), 'utf8').replace(/ {2}- \{ name: s4.*\n/, ''),
    );
    const { out } = await run('--trafficset', 'web', ...events('drain s2'));
    expect(out).toMatch(/^before any event:\n {2}gone: 256 buckets from 10.0.4.1 to s1, s2, s3: 256 moved/);
    expect(out).toContain('\n\ndrain s2:');
  });

  it('writes the table that results where it is told to, and nothing else', async () => {
    const before = readFileSync(path('web.table'));
    const { code } = await run('--trafficset', 'web', ...events('die s3'), '-o', path('after.table'));
    expect(code).toBe(0);
    const after = readTableFile(path('after.table'));
    expect([...after.members].map(formatIpv4)).toEqual(['10.0.1.1', '10.0.2.1', '10.0.4.1']);
    expect(after.version).toBe(2);
    expect([...after.hashKey]).toEqual([...KEY]);
    expect(readFileSync(path('web.table'))).toEqual(before);
  });

  it.each([
    ['explode s1', 'there are add, remove, die, drain'],
    ['drain s9', 'there is no server s9: there are s1, s2, s3, s4'],
    ['drain S_1', '"S_1" is no name of a server'],
    ['add s5', 'write add NAME=DIP'],
    ['add s5=10.0.5', '10.0.5'],
    ['add s5=0.0.0.0', '0.0.0.0 is no address of a server'],
    ['add s5=10.9.5.1', 'its DIP lies in none of underlay.prefixes (10.0.0.0/16)'],
    ['add s5=10.0.5.1,colour=red', 'is neither weight=W nor pool=P'],
    ['add s5=10.0.5.1,weight=-1', 'a weight is a number from 0 to 1000000'],
    ['add s5=10.0.5.1,pool=fast', 'web has no pool fast: there are default'],
    ['add s1=10.0.5.1', 'its name is that of server s1'],
    ['add s5=10.0.1.1', 'its DIP is that of server s1'],
    ['weight s1', 'a weight is a number from 0'],
    ['weight s1=2000000', 'a weight is a number from 0'],
    ['load s1=high', 'a load is a number from 0'],
    ['load s9=1', 'there is no server s9'],
    ['wait long', 'a time in seconds is a number'],
  ])('refuses %s with a plain message', async (event, message) => {
    const { code, out, err } = await run('--trafficset', 'web', ...events(event), '-o', path('after.table'));
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(existsSync(path('after.table'))).toBe(false);
  });

  it('asks which trafficset is meant, and refuses one that there is not', async () => {
    for (const [words, message] of [
      [[], 'give --trafficset: one of web, dns'],
      [['--trafficset', 'mail'], 'there is no trafficset mail in the configuration: there are web, dns'],
    ] as const) {
      const { code, err } = await run(...words);
      expect(code).toBe(2);
      expect(err).toContain(message);
    }
  });

  it('begins with what the store has: table, ages, corrections and servers', async () => {
    writeCluster(`store: "file:${path('store')}"\n`);
    const nothing = await run('--trafficset', 'web', ...events('drain s1'));
    expect(nothing.code).toBe(1);
    expect(nothing.err).toContain('nothing is published of web in');

    const store = await openStore(`file:${path('store')}`);
    try {
      const table = firstTable('web');
      // All buckets were changed a moment ago: the bound is used up.
      const changedAt = new Uint32Array(1024).fill(Math.floor(Date.now() / 1000));
      const planner = { version: 1, corrections: {} };
      expect((await publishTable(store, { table, changedAt, planner }, null, [])).published).toBe(true);
      const records = [1, 2, 3, 4].map((number) => ({
        key: Keys.server(`t${number}`),
        value: encodeRecord({ dip: `10.0.${number}.1`, weight: 1, pool: 'default', state: 'active' }),
      }));
      await store.transact({ puts: records });
      const { code, out } = await run('--trafficset', 'web', ...events('drain t1'));
      expect(code).toBe(0);
      expect(out).toContain(
        'new flows leave t1 later: no more than 50 % of the table may change in a minute',
      );
      expect((await store.get('tables/web/head'))?.revision).toBe(3);
    } finally {
      await store.close();
    }
  });
});
