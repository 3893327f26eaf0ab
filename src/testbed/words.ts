/** A duration for people. */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A share for people. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
