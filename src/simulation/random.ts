import { randomUint32 } from '../table/random.js';

/** Repeatable draws for a simulation: one source for each purpose, so that one more draw in one place moves no other. */
export class Draws {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomUint32(seed);
  }

  /** Evenly in [0, 1). */
  uniform(): number {
    return this.#next() / 2 ** 32;
  }

  /** A whole number of `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.uniform() * (most - least + 1));
  }

  /** Normally distributed around 0, with variance 1 (Box and Muller's way). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}

/** Mixes two numbers to a uint32 that depends on every bit of both; for placing flows, not for secrets. */
export function mix(a: number, b: number): number {
  let mixed = Math.imul(a ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(b + 0x9e3779b9, 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x21f0aaad);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
