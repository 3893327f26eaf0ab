import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConformanceError, type VectorResult } from '../../../src/replay/conformance/format.js';
import { VECTOR_FORMATS } from '../../../src/replay/conformance/registry.js';
import { readVectorFile, runVectorFile } from '../../../src/replay/conformance/run.js';

/**
 * Vector files with anything anywhere: each vector is still reported, and nothing is thrown but a ConformanceError.
 * Every file in test/data that some format takes is a seed, shortened, so that one run is short; where it is long all the
 * same (whole forwarding tables are made), there are fewer runs.
 */

const DATA = fileURLToPath(new URL('../../data/', import.meta.url));
const SEEDS = readdirSync(DATA)
  .filter((name) => /\.json(\.gz)?$/.test(name))
  .flatMap((name) => {
    try {
      const { format, content } = readVectorFile(DATA + name);
      return [{ name, format, content: shorten(content) }];
    } catch (error) {
      // A file that no format takes (yet).
      if (error instanceof ConformanceError) return [];
      throw error;
    }
  });

/** The same shape with lists of at most 8, spread over the whole list. */
function shorten(value: unknown): unknown {
  if (Array.isArray(value)) {
    const step = Math.max(1, Math.floor(value.length / 8));
    return value
      .filter((_, index) => index % step === 0)
      .slice(0, 8)
      .map(shorten);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shorten(member)]));
}

/** Every place in a JSON value, as a path. */
function places(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, member]) => places(member, [...path, key]))];
}

/** A copy with the value at `path` replaced; `undefined` takes it away. */
function replaced(
  value: unknown,
  path: readonly (string | number)[],
  by: (old: unknown) => unknown,
): unknown {
  if (path.length === 0) return by(value);
  const copy = structuredClone(value);
  let at = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  const last = path[path.length - 1];
  const changed = by(at[last]);
  if (changed === undefined && !Array.isArray(at)) delete at[last];
  else at[last] = changed ?? null;
  return copy;
}

const SPITE: readonly unknown[] = [
  null,
  undefined,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'zz',
  '00',
  '0x10',
  'ff'.repeat(20_000),
  '\u0000\ud800',
  '__proto__',
  [],
  [[]],
  {},
  { length: 1e9 },
  { toString: null },
  { __proto__: { vectors: 1 } },
];

const change: fc.Arbitrary<(old: unknown) => unknown> = fc.oneof(
  fc.constantFrom(...SPITE).map((value) => () => value),
  fc.jsonValue().map((value) => () => value),
  // A text cut, or with one character changed.
  fc.tuple(fc.nat(), fc.constantFrom('', '0', 'f', ':', '[', ' ')).map(([at, by]) => (old: unknown) => {
    if (typeof old !== 'string' || old === '') return by;
    const index = at % old.length;
    return by === '' ? old.slice(0, index) : old.slice(0, index) + by + old.slice(index + 1);
  }),
);

/** Runs whatever format takes the content, as the command does. */
function run(content: unknown): readonly VectorResult[] {
  const results: VectorResult[] = [];
  try {
    const format = VECTOR_FORMATS.find((candidate) => candidate.recognises(content));
    if (format !== undefined)
      runVectorFile({ path: 'file', format, content }, 3, (result) => results.push(result));
  } catch (error) {
    if (!(error instanceof ConformanceError)) throw error;
    expect(error.message).not.toMatch(/undefined|\[object/);
  }
  return results;
}

describe('vector files with anything anywhere', () => {
  it.each(SEEDS)('$name', { timeout: 60_000 }, ({ content }) => {
    const all = places(content);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 3 }), (changes) => {
        let mutant = content;
        for (const [at, by] of changes) {
          const path = all[at % all.length];
          // An earlier change may have taken the place away.
          if (hasPlace(mutant, path)) mutant = replaced(mutant, path, by);
        }
        for (const { group, name, outcome, detail } of run(mutant)) {
          expect(typeof group === 'string' && typeof name === 'string').toBe(true);
          if (outcome !== 'passed') expect(detail.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 1_000, seed: 0x2b0b5eed, interruptAfterTimeLimit: 4_000 },
    );
  });

  it('any JSON at all', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void run(value)));
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (vectors) => void run({ vectors, sockets: { tcp_listen: [] } })),
    );
  });

  it('has seeds for the formats', () => {
    expect(SEEDS.map(({ format }) => format.name)).toContain('cls-redirect');
  });
});

function hasPlace(value: unknown, path: readonly (string | number)[]): boolean {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return false;
    at = Reflect.get(at, key);
  }
  return true;
}
