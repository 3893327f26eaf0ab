import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { simulateCommand } from '../../src/cli/simulate.js';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-simulate-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function run(...words: string[]): Promise<{ stdout: string; stderr: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0);
  try {
    await simulateCommand().parseAsync(words, { from: 'user' });
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  return { stdout: out.join(''), stderr: err.join('') };
}

const SMALL = ['--quick', '--servers', '10', '--hours', '1'];

describe('twohop simulate', () => {
  it('tells of each scheme what broke and how loads are spread, quiet on standard error', async () => {
    const { stdout, stderr } = await run(...SMALL);
    for (const name of ['Twohop', 'rendezvous hashing', 'Maglev hashing', 'ECMP']) {
      expect(stdout.split(name).length).toBeGreaterThan(2);
    }
    for (const text of ['1 hours of 10 servers', 'websocket 3 h', 'second hop', 'swap'])
      expect(stdout).toContain(text);
    expect(stdout).not.toContain('\u001b');
    expect(stderr).toBe('');
  });

  it('prints data for programs, and draws charts where it is told to', async () => {
    const charts = join(directory, 'deep', 'charts');
    const { stdout, stderr } = await run(...SMALL, '--json', '--svg', charts);
    expect(JSON.parse(stdout)).toMatchObject({ servers: 10, hours: 1, seed: 1 });
    const files = readdirSync(charts);
    expect(files).toContain('second-hop.svg');
    for (const file of files) expect(stderr).toContain(file);
  });
});
