import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The house's rule, that imports point downwards, is kept by a lint rule; this sees that the rule works. */

const FORBIDDEN = [
  ['wire', 'flow'],
  ['flow', 'table'],
  ['table', 'path'],
  ['path', 'io'],
  ['io', 'node'],
  ['node', 'testbed'],
  ['testbed', 'cli'],
  ['conductor', 'path'],
  ['conductor', 'node'],
  ['admin', 'node'],
  ['store', 'admin'],
  ['conductor', 'simulation'],
  ['chart', 'table'],
  ['simulation', 'testbed'],
] as const;
const ALLOWED = [
  ['flow', 'wire'],
  ['path', 'table'],
  ['node', 'io'],
  ['testbed', 'node'],
  ['testbed', 'chart'],
  ['simulation', 'conductor'],
  ['cli', 'testbed'],
  ['conductor', 'store'],
  ['conductor', 'admin'],
  ['node', 'admin'],
] as const;

const root = fileURLToPath(new URL('../..', import.meta.url));
let house = '';
let complaints = '';

beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), 'twohop-rooms-'));
  cpSync(join(root, 'biome.json'), join(house, 'biome.json'));
  for (const [room, from] of [...FORBIDDEN, ...ALLOWED]) {
    const directory = join(house, 'src', room);
    mkdirSync(directory, { recursive: true });
    const source = `import { x } from '../${from}/file.js';\n\nexport const y = x;\n`;
    writeFileSync(join(directory, `${room}-from-${from}.ts`), source);
  }
  const biome = join(root, 'node_modules/.bin/biome');
  const run = spawnSync(biome, ['lint', '--vcs-enabled=false', '--max-diagnostics=none', 'src'], {
    cwd: house,
    encoding: 'utf8',
  });
  complaints = run.stdout + run.stderr;
});

afterAll(() => {
  rmSync(house, { recursive: true, force: true });
});

function isRefused(room: string, from: string): boolean {
  return new RegExp(`${room}-from-${from}\\.ts\\S* lint/style/noRestrictedImports`).test(complaints);
}

describe('import direction', () => {
  it.each(FORBIDDEN)('%s must not import from %s', (room, from) => {
    expect(isRefused(room, from), complaints).toBe(true);
  });

  it.each(ALLOWED)('%s may import from %s', (room, from) => {
    expect(isRefused(room, from), complaints).toBe(false);
  });
});
