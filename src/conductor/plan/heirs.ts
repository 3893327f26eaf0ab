import { randomUint32, shuffle } from '../../table/random.js';
import type { Bands } from './bands.js';
import { repeatNumbers } from './rows.js';

/**
 * Who takes over next: first those that lack buckets, each as often as it lacks some, then those that can take one more.
 * Both in a random order, so that wherever it is cut off, each has got in proportion.
 */
export class Heirs {
  private readonly lacking: Uint32Array;
  private readonly able: Uint32Array;
  private nextLacking = 0;
  private nextAble = 0;

  constructor(
    private readonly bands: Bands,
    seed: number,
  ) {
    const { low, high, has } = bands;
    const random = randomUint32(seed);
    this.lacking = shuffle(
      repeatNumbers(low.map((least, server) => Math.max(0, least - has[server]))),
      random(),
    );
    this.able = shuffle(
      repeatNumbers(high.map((most, server) => (most > low[server] && has[server] < most ? 1 : 0))),
      random(),
    );
  }

  /** @returns 0 when nobody lacks any */
  lacker(): number {
    const { lacking, bands } = this;
    while (this.nextLacking < lacking.length && !bands.lacks(lacking[this.nextLacking])) this.nextLacking++;
    return lacking[this.nextLacking++] ?? 0;
  }

  /** One that lacks some, or else one that can take one more. @returns 0 when there is neither */
  any(): number {
    const lacker = this.lacker();
    if (lacker !== 0) return lacker;
    const { able, bands } = this;
    while (this.nextAble < able.length && !bands.canTake(able[this.nextAble])) this.nextAble++;
    return able[this.nextAble++] ?? 0;
  }
}
