/**
 * Round numbers (1, 2 or 5 times a power of ten apart) that enclose the range from `low` to `high`, about `wanted` of
 * them, at least two.
 *
 * @param step between two of them, where that is known already
 */
export function niceTicks(
  low: number,
  high: number,
  wanted: number,
  step = niceStep(low, high, wanted),
): number[] {
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  // 3 * 0.1 is not 0.3, but shall be written like it.
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

function niceStep(low: number, high: number, wanted: number): number {
  const raw = (high - low || Math.abs(high) || 1) / Math.max(1, wanted - 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw * 0.999) ?? 10;
  return factor * power;
}
