import { InvalidArgumentError } from 'commander';

/** Option parsers that several commands share. */

/** Gathers the values of an option that may be repeated. */
export function repeated(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

/** A parser of whole numbers within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}
