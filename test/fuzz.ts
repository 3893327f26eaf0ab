/**
 * How long tests with random input run. `npm run fuzz` sets FUZZ to a factor; with it, a failure's seed is printed by
 * fast-check as in any run.
 */
const FACTOR = Number(process.env.FUZZ ?? '1');

/** @param usual runs of an ordinary test run */
export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: Math.round(usual * FACTOR) };
}
