import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tableCommand } from '../../src/cli/table.js';
import { diffTables } from '../../src/table/diff.js';
import { readGlbFile } from '../../src/table/glb/glb-file.js';
import { formatGlbAddress } from '../../src/table/glb/glb-table.js';
import { readTableFile } from '../../src/table/table-file.js';
import { formatIpv4 } from '../../src/wire/address.js';
import { forwardingJson } from '../table/glb/support.js';
import { runCommand } from './run.js';

const run = (...words: string[]) => runCommand(tableCommand(), words);

type Json = ReturnType<typeof forwardingJson>;

describe("twohop table and GitHub's director", () => {
  let directory = '';
  const path = (name: string) => join(directory, name);
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-glb-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const writeJson = (name: string, change: (json: Json) => void = () => {}) => {
    const json = forwardingJson();
    change(json);
    writeFileSync(path(name), JSON.stringify(json, null, '\t'));
  };
  /** Two tables, the second without its first backend. */
  const two = (json: Json) => {
    const [table] = json.tables;
    json.tables.push({ ...table, seed: '0'.repeat(32), backends: table.backends.slice(1) });
  };

  describe('make', () => {
    it("writes GLB's binary, for its owner alone, and takes it back", async () => {
      writeJson('ft.json', two);
      expect(await run('make', '--glb', path('ft.json'), '-o', path('director.bin'))).toEqual({
        code: 0,
        out: `${path('director.bin')}: GLB, 2 tables with 4 and 3 backends\n`,
        err: '',
      });
      expect(statSync(path('director.bin')).mode & 0o777).toBe(0o600);
      expect(readFileSync(path('director.bin')).subarray(0, 4).toString()).toBe('GLBD');
      await run('make', '--glb', path('director.bin'), '-o', path('again.bin'));
      expect(readFileSync(path('again.bin')).equals(readFileSync(path('director.bin')))).toBe(true);
    });

    it.each(['ft.json', 'director.bin'])('makes a forwarding table of the rows in %s', async (file) => {
      writeJson('ft.json', two);
      await run('make', '--glb', path('ft.json'), '-o', path('director.bin'));
      const words = [
        'make',
        '--glb',
        path(file),
        '--trafficset',
        'web',
        '--glb-table',
        '1',
        '--table-version',
        '7',
      ];
      const { code, out } = await run(...words, '--key', '0011223344556677', '-o', path('web.table'));
      expect([code, out]).toEqual([
        0,
        `${path('web.table')}: trafficset web, version 7, 65536 buckets, 2 servers\n`,
      ]);
      const table = readTableFile(path('web.table'));
      const glb = readGlbFile(path('ft.json'))[1];
      expect(Buffer.from(table.hashKey).toString('hex')).toBe('0011223344556677');
      for (const row of [0, 1, 777, 65_535]) {
        const hops = [table.firstHop(row), table.secondHop(row)].map(formatIpv4);
        const backends = [2 * row, 2 * row + 1].map((slot) =>
          formatGlbAddress(glb.backends[glb.rows[slot]].address),
        );
        expect(hops).toEqual(backends);
      }
    });

    it('takes the only table there is, and a random key', async () => {
      writeJson('ft.json');
      await run('make', '--glb', path('ft.json'), '--trafficset', 'web', '-o', path('1'));
      await run('make', '--glb', path('ft.json'), '--trafficset', 'web', '--json', '-o', path('2'));
      expect(diffTables(readTableFile(path('1')), readTableFile(path('2'))).changed).toBe(0);
      expect(readTableFile(path('1')).hashKey).not.toEqual(readTableFile(path('2')).hashKey);
      expect(readFileSync(path('2'), 'utf8')).toContain('"format": "twohop-table"');
    });

    it('refuses what it cannot do with one line and code 2, and writes nothing', async () => {
      writeJson('ft.json', two);
      writeJson('one.json');
      writeJson('six.json', (json) => (json.tables[0].backends[0].ip = '2001:db8::1'));
      writeJson('bad.json', (json) => (json.tables[0].backends[2].state = 'dead'));
      writeJson('twice.json', (json) => (json.tables[0].backends[1].ip = '10.0.1.1'));
      writeFileSync(path('text'), 'hello');
      await run('make', '--glb', path('ft.json'), '-o', path('cut.bin'));
      truncateSync(path('cut.bin'), 1000);
      const web = ['--trafficset', 'web'];
      const wrong: [string, string[], RegExp][] = [
        ['ft.json', web, /ft\.json: it has 2 tables: say which one is wanted with --glb-table 0 to 1/],
        ['ft.json', [...web, '--glb-table', '2'], /ft\.json: there is no table 2: the last is 1/],
        ['one.json', ['--glb-table', '0'], /--glb-table belongs to --trafficset/],
        ['one.json', ['--key', 'random'], /--key belongs to --trafficset/],
        ['one.json', ['--json'], /--json belongs to --trafficset/],
        ['one.json', ['--trafficset', 'Web'], /^twohop: trafficset name "Web" is not allowed/],
        [
          'six.json',
          web,
          /six\.json: table 0: row \d+ has backend 2001:db8::1, and the hops of a forwarding table are IPv4/,
        ],
        ['twice.json', web, /twice\.json: table 0: bucket \d+ has 10\.0\.1\.1 in both slots/],
        [
          'bad.json',
          [],
          /bad\.json:\d+:\d+: tables\[0\]\.backends\[2\]\.state: expected active or .*, got "dead"/,
        ],
        ['text', [], /text: it is neither GLB's forwarding_table\.json nor the binary table/],
        ['cut.bin', [], /cut\.bin: the GLB table ends after 1000 bytes/],
        ['none', [], /none: cannot be read/],
        ['one.json', ['--server', '10.0.1.1'], /cannot be used with option '--server/],
        ['one.json', ['--drain', '10.0.1.1'], /cannot be used with option '--drain/],
        ['one.json', ['--from', path('x')], /cannot be used with option '--from/],
      ];
      for (const [file, words, message] of wrong) {
        const { code, out, err } = await run('make', '--glb', path(file), ...words, '-o', path('out'));
        expect([code, out], words.join(' ')).toEqual([2, '']);
        expect(err).toMatch(message);
        expect(err.trimEnd().split('\n')).toHaveLength(1);
        expect(existsSync(path('out'))).toBe(false);
      }
      const { err } = await run(
        'make',
        ...web,
        '--server',
        '10.0.1.1',
        '--glb-table',
        '0',
        '-o',
        path('out'),
      );
      expect(err).toMatch(/--glb-table belongs to --glb/);
    });

    it('says in its help that flows land elsewhere', async () => {
      expect((await run('make', '--help')).out).toMatch(
        /a key of 8 bytes, so flows land in other rows than GLB puts them/,
      );
    });
  });

  describe('show', () => {
    it('shows tables, binds, backends and shares', async () => {
      writeJson('ft.json', two);
      await run('make', '--glb', path('ft.json'), '-o', path('director.bin'));
      const { code, out } = await run('show', path('director.bin'));
      expect(code).toBe(0);
      expect(out).toMatch(
        /^GLB, 2 tables with 4 and 3 backends\ntable 0: 65536 rows, 4 backends, hash key fingerprint [0-9a-f]{8}\n/,
      );
      expect(out).toContain('for 192.0.2.1/32 tcp 80, 2001:db8::/64 udp 8000-8999\n');
      expect(out).toMatch(/│ 10\.0\.1\.1 │ active +│ up +│ \d+ +│ \d\d\.\d\d% +│ \d+ /);
      // The binary does not tell inactive from draining.
      expect(out).toMatch(/│ 10\.0\.4\.1 │ draining │ up +│ 0 +│ 0\.00% +│ 0 +│ 0\.00% +│/);
      expect(out).toContain('table 1: 65536 rows, 3 backends');
      expect(out).not.toContain('00112233');
    });

    it('shows rows, and one table of several', async () => {
      writeJson('ft.json', two);
      await run('make', '--glb', path('ft.json'), '-o', path('director.bin'));
      const { out } = await run('show', path('director.bin'), '--glb-table', '1', '--rows', '65534-70000');
      expect(out).toMatch(/^table 1\n/);
      expect(out.match(/^│ \d+ /gm)).toEqual(['│ 65534 ', '│ 65535 ']);
      expect((await run('show', path('director.bin'), '--rows', '70000')).out).toMatch(
        /there is no row 70000/,
      );
      const missing = await run('show', path('director.bin'), '--glb-table', '2');
      expect([missing.code, missing.err]).toEqual([
        2,
        `twohop: ${path('director.bin')}: there is no table 2: the last is 1\n`,
      ]);
      await run('make', '--trafficset', 'web', '--server', '10.0.1.1', '-o', path('web.table'));
      expect((await run('show', path('web.table'), '--glb-table', '0')).err).toMatch(
        /--glb-table is for a binary of GLB/,
      );
    });

    it('prints JSON', async () => {
      writeJson('ft.json');
      await run('make', '--glb', path('ft.json'), '-o', path('director.bin'));
      const { tables } = JSON.parse((await run('show', path('director.bin'), '--json')).out);
      expect(tables).toHaveLength(1);
      expect(tables[0].hash_key).toBe('00112233445566778899aabbccddeeff');
      expect(tables[0].backends[2]).toEqual({ ip: '10.0.3.1', state: 'filling', healthy: false });
      expect(tables[0].rows).toHaveLength(65_536);
      expect(tables[0].rows[0]).toHaveLength(2);
    });
  });

  describe('diff', () => {
    it('compares table by table', async () => {
      writeJson('ft.json', two);
      writeJson('more.json', (json) => {
        two(json);
        json.tables[1].hash_key = '1'.repeat(32);
        json.tables[0].backends[0].state = 'draining';
      });
      for (const name of ['ft', 'more'])
        await run('make', '--glb', path(`${name}.json`), '-o', path(`${name}.bin`));
      expect(await run('diff', path('ft.bin'), path('ft.bin'))).toMatchObject({
        code: 0,
        out: 'table 0\nall rows are the same\ntable 1\nall rows are the same\n',
      });
      const { code, out } = await run('diff', path('ft.bin'), path('more.bin'), '--rows', '1');
      expect(code).toBe(1);
      expect(out).toMatch(/^table 0\n\d+ buckets changed; no established connection breaks\n/);
      expect(out).toMatch(
        /table 1\nthe hash keys differ: every flow moves to another bucket\nall rows are the same\n/,
      );
      const json = JSON.parse(
        (await run('diff', path('ft.bin'), path('more.bin'), '--json', '--rows', '0')).out,
      );
      expect(json).toMatchObject({
        tablesBefore: 2,
        tablesAfter: 2,
        tables: [{ differs: true }, { hashKeyChanged: true }],
      });
    });

    it('tells that tables are missing, and does not mix the kinds', async () => {
      writeJson('ft.json', two);
      writeJson('one.json');
      for (const name of ['ft', 'one'])
        await run('make', '--glb', path(`${name}.json`), '-o', path(`${name}.bin`));
      const { code, out } = await run('diff', path('ft.bin'), path('one.bin'));
      expect([code, out]).toEqual([
        1,
        '2 tables -> 1: the first 1 are compared\ntable 0\nall rows are the same\n',
      ]);
      await run('make', '--trafficset', 'web', '--server', '10.0.1.1', '-o', path('web.table'));
      expect((await run('diff', path('ft.bin'), path('web.table'))).err).toMatch(
        /ft\.bin is GLB's binary, and .*web\.table is not/,
      );
      expect((await run('diff', path('web.table'), path('ft.bin'))).err).toMatch(
        /ft\.bin is GLB's binary, and .*web\.table is not/,
      );
    });
  });
});
