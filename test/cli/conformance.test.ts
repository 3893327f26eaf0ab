import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { conformanceCommand } from '../../src/cli/conformance.js';
import { readVectors } from '../vectors.js';
import { runCommand } from './run.js';

interface Vector {
  name: string;
  in: string;
  out: string | null;
  verdict: string;
}
interface VectorFile {
  vectors: Vector[];
}

const run = (...words: string[]) => runCommand(conformanceCommand(), words);

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

describe('twohop conformance', () => {
  let directory: string;
  const write = (name: string, content: unknown) => {
    const path = join(directory, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const load = () => readVectors<VectorFile>('cls-redirect');
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-cli-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('sums per group and ends with what passed', async () => {
    const path = write('vectors.json', load());
    const { code, out, err } = await run(path);
    expect(code).toBe(0);
    expect(err).toBe('');
    expect(out).toMatch(/│ tcpflags +│ +141 │ +0 │ +0 │/);
    expect(out).toMatch(/│ all +│ +2200 │ +0 │ +0 │/);
    expect(lastLine(out)).toBe('2200 passed, 0 failed');
  });

  it('shows the first failures byte by byte, and ends with 1', async () => {
    const file = load();
    for (const vector of file.vectors.slice(0, 5)) vector.out = `${vector.out?.slice(0, -2)}00`;
    const path = write('vectors.json', file);
    const three = await run(path);
    expect(three.code).toBe(1);
    expect(lastLine(three.out)).toBe('2195 passed, 5 failed');
    expect(three.out.match(/^failed matrix\//gm)).toHaveLength(3);
    expect(three.out).toContain('    1 of 58 bytes differ, the first at 57 (0x39)');
    expect(three.out).toContain(`and 2 more failed: see them with --failures 5`);
    const all = await run(path, '--failures', '9');
    expect(all.out.match(/^failed matrix\//gm)).toHaveLength(5);
    expect((await run(path, '--failures', '0')).out).not.toMatch(/^failed /m);
  });

  it('takes several files and directories, and sums over all', async () => {
    const file = load();
    write('a.json', { ...file, vectors: file.vectors.slice(0, 10) });
    write('b.json', { ...file, vectors: file.vectors.slice(10, 30) });
    write('notes.txt', 'no vectors');
    const { code, out } = await run(directory, join(directory, 'a.json'));
    expect(code).toBe(0);
    expect(lastLine(out)).toBe('40 passed, 0 failed');
    expect(out).toContain(`${join(directory, 'b.json')}: cls-redirect`);
  });

  it('gives one line of JSON per vector', async () => {
    const file = load();
    file.vectors.length = 3;
    file.vectors[1].verdict = 'TC_ACT_OK';
    const path = write('vectors.json', file);
    const { code, out, err } = await run('--json', path);
    expect(code).toBe(1);
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(4);
    const [first, second] = file.vectors;
    const shared = { file: path, format: 'cls-redirect', group: 'matrix' };
    expect(lines[0]).toEqual({ ...shared, name: first.name, outcome: 'passed', detail: [] });
    expect(lines[1]).toMatchObject({ ...shared, name: second.name, outcome: 'failed' });
    expect(lines[1].detail[0]).toBe('verdict: expected TC_ACT_OK, got TC_ACT_REDIRECT');
    expect(lines[3]).toEqual({ passed: 2, failed: 1, notAsked: 0 });
    expect(err).toBe('2 passed, 1 failed\n');
  });

  it('says what is wrong with a file that is no vector file, before it runs any', async () => {
    const good = write('good.json', load());
    for (const content of ['hello', '[]', '{"a": 1}']) {
      const bad = write('bad.json', content);
      const { code, out, err } = await run(good, bad);
      expect(code).toBe(2);
      expect(out).toBe('');
      expect(err).toMatch(/^twohop: .*bad\.json: .*cls-redirect/);
    }
    expect((await run(join(directory, 'nowhere.json'))).code).toBe(2);
    expect((await run()).code).toBe(2);
    expect((await run(good, '--failures', 'x')).code).toBe(2);
    expect((await run(write('empty.json', { ...load(), vectors: [] }))).err).toMatch(/holds no vectors/);
  });

  it('does not let a file steer the terminal', async () => {
    const file = load();
    file.vectors = [{ ...file.vectors[0], name: '\u001b[2Jx/y', verdict: '\u001b]0;title\u0007' }];
    const { code, out } = await run(write('vectors.json', file));
    expect(code).toBe(1);
    expect(out).not.toContain('\u001b[2J');
    expect(out).not.toContain('\u001b]');
  });

  it('has help with an example', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    expect(out).toContain('--failures <n>');
  });
});
