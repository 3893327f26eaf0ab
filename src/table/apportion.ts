/**
 * Splits `total` into whole shares in proportion to `weights`, each less than one away from its exact share (the method
 * of largest remainders; ties go to the first).
 *
 * @param weights not negative, and not all zero
 */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((partial, weight) => partial + weight, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const shares = exact.map(Math.floor);
  const missing = total - shares.reduce((partial, share) => partial + share, 0);
  const byRemainder = [...shares.keys()].sort(
    (a, b) => exact[b] - shares[b] - (exact[a] - shares[a]) || a - b,
  );
  for (const index of byRemainder.slice(0, missing)) shares[index]++;
  return shares;
}
