import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tableCommand } from '../../src/cli/table.js';
import { parseIpv4 } from '../../src/table/address.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { readTableFile, writeTableFile } from '../../src/table/table-file.js';
import { runCommand } from './run.js';

const run = (...words: string[]) => runCommand(tableCommand(), words);

describe('twohop table', () => {
  let directory: string;
  const path = (name: string) => join(directory, name);
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-cli-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A table of 1024 buckets for 10.0.1.1, 10.0.2.1 (twice the share) and 10.0.3.1. */
  const make = (file: string, ...more: string[]) =>
    run(
      ...['make', '--trafficset', 'web', '--buckets', '1024', '--key', '00112233445566FF'],
      ...[
        '--server',
        '10.0.1.1',
        '--server',
        '10.0.2.1=2',
        '--server',
        '10.0.3.1',
        '-o',
        path(file),
        ...more,
      ],
    );

  it('has an example in every help', async () => {
    for (const name of ['make', 'show', 'diff', 'check']) {
      const { code, out } = await run(name, '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`Examples?:\\n {2}twohop table ${name} `));
    }
  });

  describe('make', () => {
    it('writes a new table', async () => {
      expect(await make('web.table')).toEqual({
        code: 0,
        out: `${path('web.table')}: trafficset web, version 1, 1024 buckets, 3 servers\n`,
        err: '',
      });
      const table = readTableFile(path('web.table'));
      expect(Buffer.from(table.hashKey).toString('hex')).toBe('00112233445566ff');
      expect(table.servers().map(({ first }) => first)).toEqual([256, 512, 256]);
    });

    it('is repeatable with a seed and a key, and takes a random key otherwise', async () => {
      await make('a', '--seed', '5');
      await make('b', '--seed', '5');
      await make('c', '--seed', '6');
      expect(readFileSync(path('a'))).toEqual(readFileSync(path('b')));
      expect(readFileSync(path('a'))).not.toEqual(readFileSync(path('c')));
      await make('d', '--key', 'random', '--table-version', '9');
      const table = readTableFile(path('d'));
      expect(Buffer.from(table.hashKey).toString('hex')).not.toBe('00112233445566ff');
      expect(table.version).toBe(9);
    });

    it('edits a table: clear, add, drain, swap, in this order', async () => {
      await make('web.table');
      const { code } = await run('make', '--from', path('web.table'), '--drain', '10.0.2.1', '-o', path('2'));
      expect(code).toBe(0);
      const drained = readTableFile(path('2'));
      expect(drained.version).toBe(2);
      expect(drained.servers().map(({ first, second }) => [first, second])).toEqual([
        [512, 0],
        [0, 512],
        [512, 0],
      ]);

      await run(
        'make',
        '--from',
        path('2'),
        '--clear-second-hops',
        '--add',
        '10.0.9.1',
        '--swap',
        '1',
        '-o',
        path('3'),
      );
      const swapped = readTableFile(path('3'));
      expect(swapped.version).toBe(5);
      // The new server took a third of the buckets, and the swap gave them all back.
      expect(swapped.servers().map(({ first, second }) => [first, second])).toEqual([
        [512, 0],
        [512, 0],
        [0, 341],
      ]);

      await run('make', '--from', path('2'), '--drain', '10.0.2.1', '--no-second-hop', '-o', path('2'));
      expect(readTableFile(path('2')).servers()).toHaveLength(2);
    });

    it('converts between the forms without a new version', async () => {
      await make('web.table');
      await run('make', '--from', path('web.table'), '--json', '-o', path('web.json'));
      expect(readFileSync(path('web.json'), 'utf8')).toContain('"formatVersion": 2,\n');
      await run('make', '--from', path('web.json'), '-o', path('again.table'));
      expect(readFileSync(path('again.table'))).toEqual(readFileSync(path('web.table')));
    });

    it('refuses wrong words with one line and code 2, and writes nothing', async () => {
      await make('web.table');
      const from = ['--from', path('web.table')];
      const wrong: [string[], RegExp][] = [
        [['--trafficset', 'web'], /give --trafficset and at least one --server/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--swap', '1'], /nothing to edit yet/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--roles', 'udp'], /nothing to edit yet/],
        [['--trafficset', 'web', '--server', '10.0.1'], /"10\.0\.1" is no IPv4 address/],
        [['--trafficset', 'web', '--server', '10.0.1.1=x'], /is no number/],
        [['--trafficset', 'web', '--server', '10.0.1.1=0'], /weight 0/],
        [['--trafficset', 'Web', '--server', '10.0.1.1'], /"Web"/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--server', '10.0.1.1'], /given twice/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--buckets', '1000'], /power of two/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--buckets', '0'], /whole number from 1/],
        [['--trafficset', 'web', '--server', '10.0.1.1', '--key', '0011'], /16 hexadecimal digits/],
        [[...from, '--server', '10.0.1.1'], /cannot be used with/],
        [[...from, '--no-second-hop'], /belongs to --drain/],
        [[...from, '--swap', '1.5'], /from 0 to 1/],
        [[...from, '--drain', '10.0.7.1'], /10\.0\.7\.1 is not in the table/],
        [[...from, '--add', '10.0.1.1'], /has first slots already/],
        [['--from', path('none')], /cannot be read/],
        [[...from, '--drian', '10.0.1.1'], /unknown option/],
      ];
      for (const [words, message] of wrong) {
        const { code, out, err } = await run('make', ...words, '-o', path('out'));
        expect([code, out], words.join(' ')).toEqual([2, '']);
        expect(err).toMatch(message);
        expect(
          err
            .trimEnd()
            .split('\n')
            .filter((line) => !line.startsWith('(Did you mean')),
        ).toHaveLength(1);
        expect(existsSync(path('out'))).toBe(false);
      }
      expect((await run('make', ...from)).err).toMatch(/--output/);
    });
  });

  describe('show', () => {
    it('shows shares, and a fingerprint for the key', async () => {
      await make('web.table');
      const { code, out } = await run('show', path('web.table'));
      expect(code).toBe(0);
      expect(out).toMatch(
        /^trafficset web, version 1, 1024 buckets, 3 servers\nhash key fingerprint [0-9a-f]{8}\n/,
      );
      expect(out).toMatch(/10\.0\.2\.1 │ 512 +│ 50\.00% │ 0 +│ 0\.00%/);
      expect(out).not.toContain('00112233');
    });

    it('shows rows', async () => {
      await make('web.table');
      const table = readTableFile(path('web.table'));
      const { out } = await run('show', path('web.table'), '--rows', '1022-5000');
      expect(out.match(/^│ \d+ /gm)).toEqual(['│ 1022 ', '│ 1023 ']);
      expect(table.secondHop(1023)).toBe(0);
      expect(out).toMatch(/│ 1023 +│ 10\.0\.\d\.1 +│ - +│/);
      expect((await run('show', path('web.table'), '--rows', '4000')).out).toMatch(/there is no bucket 4000/);
      expect((await run('show', path('web.table'), '--rows', '5-4')).code).toBe(2);
    });

    it('prints JSON that can be read back', async () => {
      await make('web.table');
      const { out } = await run('show', path('web.table'), '--json');
      writeFileSync(path('web.json'), out);
      expect(readTableFile(path('web.json'))).toEqual(readTableFile(path('web.table')));
    });

    it('names a file that is none', async () => {
      writeFileSync(path('x'), 'hello');
      expect(await run('show', path('x'))).toEqual({
        code: 2,
        out: '',
        err: `twohop: ${path('x')}: it is no forwarding table: give a file that \`twohop table make\` wrote\n`,
      });
    });
  });

  describe('diff', () => {
    it('finds nothing between two forms of a table', async () => {
      await make('web.table');
      await make('web.json', '--json');
      const { code, out } = await run('diff', path('web.table'), path('web.json'));
      expect([code, out]).toEqual([0, 'version 1 -> 1\nall rows are the same\n']);
    });

    it('tells what changed and what breaks', async () => {
      await make('1');
      await run('make', '--from', path('1'), '--drain', '10.0.2.1', '-o', path('2'));
      await run('make', '--from', path('2'), '--clear-second-hops', '-o', path('3'));
      const drained = await run('diff', path('1'), path('2'), '--rows', '2');
      expect(drained.code).toBe(1);
      expect(drained.out).toContain('512 buckets changed; no established connection breaks');
      expect(drained.out).toMatch(/handed-over +│ 512 /);
      expect(drained.out).toMatch(/10\.0\.2\.1 │ 512 -> 0 \(-512\) +│ 0 -> 512 \(\+512\)/);
      expect(drained.out).toContain('and 510 more');
      const cleared = await run('diff', path('2'), path('3'), '--rows', '0');
      expect(cleared.out).toContain('512 buckets changed; 512 buckets lost a server');
      expect(cleared.out).not.toContain('more');
    });

    it('tells what moves every flow', async () => {
      await make('1');
      await make('2', '--key', '0011223344556600', '--trafficset', 'dns');
      const { code, out } = await run('diff', path('1'), path('2'));
      expect(code).toBe(1);
      expect(out).toContain('the hash keys differ: every flow moves');
      expect(out).toContain('different trafficsets');
    });

    it('prints JSON with addresses for people', async () => {
      await make('1');
      await run('make', '--from', path('1'), '--drain', '10.0.2.1', '-o', path('2'));
      const { code, out } = await run('diff', path('1'), path('2'), '--json', '--rows', '1');
      expect(code).toBe(1);
      const diff = JSON.parse(out);
      expect(diff).toMatchObject({ differs: true, changed: 512, losing: 0, counts: { 'handed-over': 512 } });
      expect(diff.rows[0].before).toEqual(['10.0.2.1', null]);
      expect(diff.rows[0].after[1]).toBe('10.0.2.1');
      expect(diff.servers[1].dip).toBe('10.0.2.1');
    });
  });

  describe('check', () => {
    const CLUSTER = `underlay: { prefixes: [10.0.0.0/16] }
servers: [{ name: a, dip: 10.0.1.1 }, { name: b, dip: 10.0.2.1, weight: 2 }, { name: c, dip: 10.0.3.1 }]
trafficsets: [{ name: web, kind: tcp, vips: [192.0.2.0/24], table: web.table }]
`;

    it('says that a good table is good, against its configuration too', async () => {
      await make('web.table');
      writeFileSync(path('cluster.yaml'), CLUSTER);
      const ok = `${path('web.table')}: ok: trafficset web, version 1, 1024 buckets, 3 servers\n`;
      expect(await run('check', path('web.table'), '--config', path('cluster.yaml'))).toEqual({
        code: 0,
        out: ok,
        err: '',
      });
      expect(await run('check', '--config', path('cluster.yaml'))).toEqual({ code: 0, out: ok, err: '' });
    });

    it('warns without failing', async () => {
      await make('web.table', '--buckets', '256');
      const { code, out } = await run('check', path('web.table'));
      expect(code).toBe(0);
      expect(out).toMatch(/: warning: few-buckets: .*\n.*: ok: /);
    });

    it('fails on errors, and goes on to the next table', async () => {
      await make('web.table');
      writeFileSync(
        path('cluster.yaml'),
        CLUSTER.replace('{ name: c, dip: 10.0.3.1 }', '{ name: c, dip: 10.0.4.1 }'),
      );
      writeTableFile(path('damaged'), readTableFile(path('web.table')));
      truncateSync(path('damaged'), 500);
      const { code, out } = await run(
        'check',
        path('damaged'),
        path('web.table'),
        '-c',
        path('cluster.yaml'),
      );
      expect(code).toBe(1);
      const lines = out.trimEnd().split('\n');
      expect(lines).toHaveLength(3);
      expect(lines[0]).toBe(
        `${path('damaged')}: error: truncated: the table ends after 500 bytes, and at least 8320 are needed: copy or make it again`,
      );
      expect(lines[1]).toMatch(/web\.table: error: unknown-server: 10\.0\.3\.1/);
      expect(lines[2]).toMatch(/web\.table: warning: idle-server: 10\.0\.4\.1/);
    });

    it('tells a user error with code 2', async () => {
      expect(await run('check')).toMatchObject({ code: 2, out: '' });
      expect(await run('check', path('none'))).toMatchObject({ code: 2, out: '' });
      writeFileSync(path('cluster.yaml'), CLUSTER.replace('tcp', 'tpc'));
      const { code, err } = await run('check', '--config', path('cluster.yaml'));
      expect(code).toBe(2);
      expect(err).toMatch(
        /cluster\.yaml:3:34: trafficsets\[0\]\.kind: expected tcp or udp-flow or request-response or udp-session, got "tpc"/,
      );
    });
  });

  it('takes tables that others made', async () => {
    const slots = Uint32Array.of(parseIpv4('10.0.1.1'), 0);
    const table = new ForwardingTable({ trafficset: 'x', version: 0, hashKey: new Uint8Array(8), slots });
    writeTableFile(path('x'), table);
    expect((await run('show', path('x'))).out).toContain('trafficset x, version 0, 1 buckets, 1 server\n');
  });
});
