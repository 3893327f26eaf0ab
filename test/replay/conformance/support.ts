import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import {
  ConformanceError,
  type VectorFormat,
  type VectorResult,
} from '../../../src/replay/conformance/format.js';
import { VECTOR_FORMATS } from '../../../src/replay/conformance/registry.js';

/** How many vectors ended how. */
export function tally(results: Iterable<VectorResult>): Record<VectorResult['outcome'], number> {
  const counts = { passed: 0, failed: 0, 'not-asked': 0 };
  for (const { outcome } of results) counts[outcome]++;
  return counts;
}

/** Runs a file that this format, and no other, recognises. */
export function runAll(format: VectorFormat, file: unknown): VectorResult[] {
  expect(VECTOR_FORMATS.filter((candidate) => candidate.recognises(file))).toEqual([format]);
  return [...format.run(file)];
}

export function failures(format: VectorFormat, file: unknown): VectorResult[] {
  return [...format.run(file)].filter(({ outcome }) => outcome === 'failed');
}

/** A vector file that is not gzipped. */
export function readPlainVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../data/${name}.json`, import.meta.url), 'utf8')) as T;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What a careless hand, or a hostile one, puts into JSON. */
const SPITE: readonly Json[] = [
  null,
  true,
  -1,
  1.5,
  1e300,
  '',
  'zz',
  '00',
  '0'.repeat(5000),
  [],
  [[]],
  {},
  { __proto__: null },
];

/** Replaces, removes or repeats a value somewhere in a copy. @param random a number below its bound */
export function damaged(file: unknown, random: (bound: number) => number): unknown {
  const copy: Json = JSON.parse(JSON.stringify(file));
  for (let changes = random(3); changes >= 0; changes--) damage(copy, random);
  return copy;
}

function damage(root: Json, random: (bound: number) => number): void {
  let at = root;
  for (;;) {
    if (typeof at !== 'object' || at === null) return;
    const keys = Object.keys(at);
    if (keys.length === 0) return;
    const key = keys[random(keys.length)];
    const value: Json = Reflect.get(at, key);
    if (typeof value === 'object' && value !== null && random(4) > 0) {
      at = value;
      continue;
    }
    const kind = random(4);
    if (kind === 0) Reflect.deleteProperty(at, key);
    else if (kind === 1 && typeof value === 'string') Reflect.set(at, key, scratched(value, random));
    else Reflect.set(at, key, SPITE[random(SPITE.length)]);
    return;
  }
}

function scratched(text: string, random: (bound: number) => number): string {
  const place = random(text.length + 1);
  return `${text.slice(0, place)}${'0f zZ-.:'[random(8)]}${text.slice(place + random(2))}`;
}

/** Small, fast and repeatable (xorshift32). */
export function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Runs damaged copies: each ends with results or with an error for people. @returns how many did which */
export function runDamaged(
  format: VectorFormat,
  file: unknown,
  runs: number,
): { ran: number; refused: number } {
  const random = generator(0x2b0b5eed);
  let ran = 0;
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const copy = damaged(file, random);
    if (!format.recognises(copy)) continue;
    try {
      for (const { name, detail, outcome } of format.run(copy)) {
        expect(name.length).toBeGreaterThan(0);
        if (outcome !== 'passed') expect(detail.length).toBeGreaterThan(0);
      }
      ran++;
    } catch (error) {
      if (!(error instanceof ConformanceError)) throw error;
      refused++;
    }
  }
  return { ran, refused };
}
