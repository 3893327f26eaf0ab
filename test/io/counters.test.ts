import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const COUNTERS = new URL('../../dist/io/counters.js', import.meta.url).href;

/** Counts until past 2^31, in a function of its own that is compiled long before. */
const script = (made: string) => `
  import { newCounters } from ${JSON.stringify(COUNTERS)};
  const counters = ${made};
  function countOne(length) {
    for (let i = 0; i < 1000; i++) counters.bytes += length;
  }
  for (let i = 0; i < 100_000; i++) countOne(64);
  console.log('counted', counters.bytes);
`;

function run(made: string): string {
  const flags = ['--trace-deopt', '--input-type=module', '-e', script(made)];
  return execFileSync(process.execPath, flags, { encoding: 'utf8' });
}

it('counts past 2^31 without a deoptimisation, where plain integers would cost one', () => {
  expect(run('{ bytes: 0 }')).toMatch(/reason: overflow/);
  const output = run('newCounters()');
  expect(output).toContain('counted 6400000000');
  expect(output).not.toMatch(/countOne/);
});
