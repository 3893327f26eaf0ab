/** Smallest, middle and largest of repeated measurements. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** @throws when `samples` is empty. */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new Error('spreadOf: no samples');
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

/** The same quantity measured by the native twin and by TypeScript, round by round. */
export interface Paired {
  readonly native: Spread;
  readonly js: Spread;
  /** JS / native of each round: neighbours in time share the machine's mood, so this is steadier than either. */
  readonly ratio: Spread;
}

/**
 * Measures in alternation: native, JS, native, JS ... after `warmup` pairs that are thrown away.
 * Both functions return the same positive quantity (ns per packet, packets per second).
 */
export function pairedRounds(rounds: number, warmup: number, native: () => number, js: () => number): Paired {
  const nativeSamples: number[] = [];
  const jsSamples: number[] = [];
  for (let round = -warmup; round < rounds; round++) {
    const nativeValue = native();
    const jsValue = js();
    if (round < 0) continue;
    nativeSamples.push(nativeValue);
    jsSamples.push(jsValue);
  }
  return pair(nativeSamples, jsSamples);
}

/** @throws when the two do not have one sample per round each. */
export function pair(native: readonly number[], js: readonly number[]): Paired {
  if (native.length !== js.length) {
    throw new Error(`pair: ${native.length} native rounds, ${js.length} of JS`);
  }
  return {
    native: spreadOf(native),
    js: spreadOf(js),
    ratio: spreadOf(js.map((value, round) => value / native[round])),
  };
}
