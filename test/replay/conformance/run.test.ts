import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConformanceError, groupOf, type VectorFormat } from '../../../src/replay/conformance/format.js';
import { readVectorFile, runVectorFile, vectorPaths } from '../../../src/replay/conformance/run.js';

const DATA = new URL('../../data/', import.meta.url).pathname;

describe('vector files', () => {
  let directory: string;
  const write = (name: string, content: string | Uint8Array) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-vectors-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are read plain and as gzip, whatever their name', () => {
    const gzip = readVectorFile(join(DATA, 'cls-redirect.json.gz'));
    expect(gzip.format.name).toBe('cls-redirect');
    const plain = readVectorFile(write('some.thing', JSON.stringify(gzip.content)));
    expect(plain.content).toEqual(gzip.content);
  });

  it('are found in directories, by name', () => {
    for (const name of ['b.json', 'a.json.gz', 'README.md', 'c.txt']) write(name, '{}');
    expect(vectorPaths(directory)).toEqual([join(directory, 'a.json.gz'), join(directory, 'b.json')]);
    expect(vectorPaths(join(directory, 'c.txt'))).toEqual([join(directory, 'c.txt')]);
  });

  it.each([
    ['no JSON', 'hello', /no vector file, these are JSON/],
    ['binary', Uint8Array.of(0, 1, 2, 255), /no vector file/],
    ['empty', '', /no vector file/],
    ['an array', '[1, 2]', /no vector file of a format known here \(.*cls-redirect.*\): an array of 2/],
    ['a number', '7', /: a number/],
    ['null', 'null', /: a null/],
    ['another object', '{"tables": [], "x": 1}', /: an object with "tables", "x"/],
    ['an empty object', '{}', /an empty object/],
    ['damaged gzip', gzipSync('{"vectors": []}').subarray(0, 20), /gzip file that is damaged or cut/],
  ])('are refused with what is wrong: %s', (_what, content, message) => {
    const path = write('file', content);
    expect(() => readVectorFile(path)).toThrow(ConformanceError);
    expect(() => readVectorFile(path)).toThrow(message);
    expect(() => readVectorFile(path)).toThrow(path);
  });

  it('have to be there', () => {
    expect(() => vectorPaths(join(directory, 'nowhere'))).toThrow(/cannot be read: ENOENT/);
    expect(() => vectorPaths(directory)).toThrow(/holds no vector file/);
    expect(() => readVectorFile(directory)).toThrow(ConformanceError);
  });

  it('are no bomb', () => {
    const bomb = gzipSync(Buffer.alloc(300 << 20), { level: 1 });
    expect(() => readVectorFile(write('bomb', bomb))).toThrow(/larger than 256 MiB/);
  });
});

describe('a run', () => {
  const format: VectorFormat = {
    name: 'made-up',
    recognises: () => true,
    *run(file) {
      for (const [index, outcome] of (file as ('passed' | 'failed' | 'not-asked')[]).entries()) {
        yield { group: index % 2 === 0 ? 'even' : 'odd', name: `n/${index}`, outcome, detail: [`d${index}`] };
      }
    },
  };

  it('sums per group, keeps the first failures and everything that was not asked', () => {
    const content = ['passed', 'failed', 'not-asked', 'failed', 'failed', 'not-asked', 'passed'];
    const seen: string[] = [];
    const report = runVectorFile({ path: 'p', format, content }, 2, ({ name }) => seen.push(name));
    expect(report).toMatchObject({ path: 'p', format: 'made-up', passed: 2, failed: 3, notAsked: 2 });
    expect(report.groups).toEqual([
      { group: 'even', passed: 2, failed: 1, notAsked: 1 },
      { group: 'odd', passed: 0, failed: 2, notAsked: 1 },
    ]);
    expect(report.failures.map(({ name }) => name)).toEqual(['n/1', 'n/3']);
    expect(report.left.map(({ name }) => name)).toEqual(['n/2', 'n/5']);
    expect(seen).toHaveLength(7);
  });

  it('shows nothing when there is no vector', () => {
    expect(() => runVectorFile({ path: 'p', format, content: [] }, 3)).toThrow('p: holds no vectors');
  });

  it('groups by what stands before the first slash', () => {
    expect(['a/b/c', 'plain', '/x', ''].map(groupOf)).toEqual(['a', 'plain', '', '']);
  });
});
