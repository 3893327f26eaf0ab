import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { caseFolders, checkCase, regenerateCase } from '../../src/replay/cases/case-folder.js';
import { ConfigError } from '../../src/table/yaml.js';

const CASES = fileURLToPath(new URL('../cases', import.meta.url));
const folders = caseFolders(CASES);

describe('every case', () => {
  it('is there', () => {
    expect(folders.length).toBeGreaterThanOrEqual(30);
    expect(folders.length).toBe(
      readdirSync(CASES, { withFileTypes: true }).filter((entry) => entry.isDirectory()).length,
    );
  });

  it.each(folders.map((folder) => [basename(folder), folder]))('%s', async (_name, folder) => {
    expect(await checkCase(folder)).toEqual([]);
  });
});

describe('a case that no longer holds', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'case-'));
    cpSync(join(CASES, 'drain-ipv4'), folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const edit = (name: string, change: (text: string) => string) => {
    const path = join(folder, name);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  };

  it('is told byte by byte where a packet differs', async () => {
    const path = join(folder, 'expect.pcap');
    const bytes = readFileSync(path);
    bytes[bytes.length - 30] ^= 1;
    writeFileSync(path, bytes);
    const lines = await checkCase(folder);
    expect(lines[0]).toBe('packet 14 that comes out:');
    expect(lines[1]).toMatch(/^1 of 84 bytes differ|^1 of \d+ bytes differ/);
  });

  it('is told by line where counters or the story differ', async () => {
    edit('counters.json', (text) => text.replace('"packets": 6', '"packets": 7'));
    edit('story.txt', (text) => text.replace('accept_syn', 'accept_sin'));
    const lines = await checkCase(folder);
    expect(
      lines.filter((line) => /^counters.json, line \d+: (expected|got) +"packets": [67]/.test(line)),
    ).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith('story.txt, line 5: '))).toHaveLength(2);
  });

  it('is told where the packets are not those of the lines', async () => {
    edit('case.yaml', (text) => text.replace('SYN', 'SYN,ECE'));
    expect((await checkCase(folder))[0]).toBe(
      'send.pcap is not what the lines of case.yaml make: regenerate it',
    );
  });

  it('holds again once it is regenerated', async () => {
    edit('case.yaml', (text) => text.replaceAll('192.0.2.1:', '192.0.2.9:'));
    expect(await checkCase(folder)).not.toEqual([]);
    await regenerateCase(folder);
    expect(await checkCase(folder)).toEqual([]);
  });

  it.each([
    ['title: ', 'tilte: ', /unknown key, did you mean title/],
    ['rows: [[s1]]', 'rows: [[s9]]', /tables\.before: there is no server named s9/],
    ['rows: [[s1]]', 'from: nothing', /tables\.before: from: no table nothing stands before/],
    ['rows: [[s1]]', 'buckets: 8', /tables\.before: give one of servers, rows or from/],
    ['table: before', 'table: never', /trafficsets\[0\]\.table: the case has no table never/],
    ['as: s3', 'as: s4', /as: there is no server named s4/],
    ['load: after', 'load: later', /steps\[1\]\.load: the case has no table later/],
    ['tcp 198', 'tpc 198', /packets\[0\]: column 1: expected tcp/],
  ])('%s as %s: the file is refused with its place', async (before, after, message) => {
    edit('case.yaml', (text) => text.replace(before, after));
    await expect(checkCase(folder)).rejects.toThrow(ConfigError);
    await expect(checkCase(folder)).rejects.toThrow(message);
  });

  it('misses a file', async () => {
    rmSync(join(folder, 'story.txt'));
    await expect(checkCase(folder)).rejects.toThrow(/story.txt: cannot be read: make it with --regenerate/);
  });
});
