import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

/**
 * Once the path is warm it neither allocates nor falls back to slower code: a process runs each part of it over a million
 * packets, under V8's own traces of collections and deoptimisations.
 *
 * The young generation is one megabyte: sixteen bytes per packet would fill it a dozen times.
 */

const FIXTURE = fileURLToPath(new URL('fixtures/steady-state.mjs', import.meta.url));
const FLAGS = ['--expose-gc', '--trace-gc', '--trace-deopt', '--max-semi-space-size=1'];
/** A collection that the fixture asked for. V8 writes it into the same stream as all else, and so in order. */
const MARK = /Mark-(Compact|sweep).* testing;/;
/** After the warm-up's first half, at the beginning of the steady state, and at its end. */
const MARKS_PER_PART = 3;

/** @returns by part, what V8 reported while it was in its steady state */
async function steadyState(spoil = 'nothing'): Promise<Record<string, string[]>> {
  const { stdout } = await promisify(execFile)(process.execPath, [...FLAGS, FIXTURE, spoil], {
    maxBuffer: 1 << 26,
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  const said = lines.filter((line) => line.startsWith('["'));
  expect(said).toHaveLength(1);
  const parts: string[] = JSON.parse(said[0]);
  const marks = lines.flatMap((line, index) => (MARK.test(line) ? [index] : []));
  expect(marks).toHaveLength(MARKS_PER_PART * parts.length);
  return Object.fromEntries(
    parts.map((part, index) => {
      const [, begin, end] = marks.slice(MARKS_PER_PART * index);
      return [part, lines.slice(begin + 1, end).filter((line) => !line.startsWith('["'))];
    }),
  );
}

describe('the path in its steady state', () => {
  it('collects nothing and deoptimises nothing', async () => {
    expect(await steadyState()).toEqual({
      forward: [],
      redirect: [],
      loop: [],
      segment: [],
      coalesce: [],
      train: [],
    });
  });

  it('would be seen to allocate', async () => {
    const { forward, train } = await steadyState('allocate');
    // A scavenge, or a whole collection in its place where one had begun.
    for (const reports of [forward, train]) expect(reports.join('\n')).toMatch(/Scavenge|Mark-Compact/);
  });

  it('would be seen to deoptimise', async () => {
    const { forward } = await steadyState('shape');
    expect(forward.join('\n')).toContain('bailout');
  });
});
