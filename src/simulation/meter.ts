/** How far the loads of servers are from their mean, over a day of minutes. */

/** Deviation that counts as balanced. */
export const BALANCED = 0.05;
const BIN = 0.001;
const BINS = 3000;

export class Meter {
  readonly #bins = new Uint32Array(BINS + 1);
  #samples = 0;
  #largest = 0;

  /**
   * One minute.
   * @param loads of the servers that count; when there are none, nothing happens
   * @returns of this minute: the 99th percentile of the deviations
   */
  add(loads: readonly number[]): number {
    if (loads.length === 0) return 0;
    const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
    const deviations = loads.map((load) => Math.abs(load / mean - 1)).sort((a, b) => a - b);
    for (const deviation of deviations) this.#bins[Math.min(BINS, Math.floor(deviation / BIN))]++;
    this.#samples += loads.length;
    this.#largest = Math.max(this.#largest, deviations[deviations.length - 1]);
    return deviations[Math.floor(0.99 * (deviations.length - 1))];
  }

  /** Share of the server-minutes within {@link BALANCED} of the mean. */
  get balanced(): number {
    let within = 0;
    for (let bin = 0; bin < Math.round(BALANCED / BIN); bin++) within += this.#bins[bin];
    return this.#samples === 0 ? 1 : within / this.#samples;
  }

  /** Deviation that this share of the server-minutes stays below; to a tenth of a per cent, rounded up. */
  percentile(share: number): number {
    let left = share * this.#samples;
    for (let bin = 0; bin <= BINS; bin++) {
      left -= this.#bins[bin];
      if (left <= 0) return (bin + 1) * BIN;
    }
    return (BINS + 1) * BIN;
  }

  get largest(): number {
    return this.#largest;
  }
}
