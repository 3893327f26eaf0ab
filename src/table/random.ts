/**
 * Repeatable pseudo-randomness for placing servers in buckets: the same seed gives the same table everywhere. Not for
 * secrets.
 */

/** SplitMix32: each call of the result gives the next uint32 of the sequence. */
export function randomUint32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** Fisher-Yates, in place. @returns the same array */
export function shuffle<T extends number[] | Uint32Array>(values: T, seed: number): T {
  const next = randomUint32(seed);
  for (let last = values.length - 1; last > 0; last--) {
    const other = Math.floor((next() / 2 ** 32) * (last + 1));
    const value = values[last];
    values[last] = values[other];
    values[other] = value;
  }
  return values;
}
