import type { CaptureRecord } from './record.js';

/** When a pcapng interface does not say: microseconds. */
export const DEFAULT_TSRESOL = 6;

const POWER_OF_TWO = 0x80;
/** Up to these resolutions all sums and products below stay exact in a double (2^53). */
const MOST_DECIMAL = 15;
const MOST_BINARY = 32;
const TWO_32 = 0x1_0000_0000n;
const GIGA = 1_000_000_000;

/**
 * Timestamps of one pcapng interface: 64-bit counts of a unit, turned into seconds and nanoseconds exactly (cut, not
 * rounded, where the unit is finer than a nanosecond).
 *
 * Nearly all packets lie in the same second as the one before: where it began is remembered, and the rest is a
 * subtraction.
 */
export class TimestampScale {
  private readonly offset: number;
  /** Units per second, also as a number where that is exact; 0 where only the BigInt way is. */
  private readonly bigUnits: bigint;
  private readonly units: number;
  /** Nanoseconds = floor(units * multiplier / divisor). */
  private readonly multiplier: number;
  private readonly divisor: number;
  /** The upper word for which the rest holds. */
  private high = -1;
  /** The second in which the count `high * 2^32` lies, and where it began: that many units before, so not positive. */
  private firstSecond = 0;
  private firstStart = 0;
  /** The second of the packet before, and the lower word at which it began. */
  private second = 0;
  private start = 0;

  /** @param resolution value of if_tsresol; @param offset seconds to add, if_tsoffset */
  constructor(resolution: number, offset: number) {
    this.offset = offset;
    const exponent = resolution & 0x7f;
    const binary = (resolution & POWER_OF_TWO) !== 0;
    this.bigUnits = (binary ? 2n : 10n) ** BigInt(exponent);
    this.units = exponent <= (binary ? MOST_BINARY : MOST_DECIMAL) ? Number(this.bigUnits) : 0;
    // 10^9 / 2^n in lowest terms, so that the product stays exact: 10^9 = 2^9 * 5^9.
    const common = binary ? 2 ** Math.min(exponent, 9) : Math.min(this.units, GIGA);
    this.multiplier = GIGA / common;
    this.divisor = this.units / common;
  }

  /** Sets the record's `seconds` and `nanoseconds`. */
  convert(high: number, low: number, record: CaptureRecord): void {
    if (high !== this.high) {
      if (this.units === 0) {
        this.convertBig(high, low, record);
        return;
      }
      this.enterHigh(high);
    }
    let units = low - this.start;
    if (units < 0 || units >= this.units) {
      this.enterSecond(low);
      units = low - this.start;
    }
    record.seconds = this.second;
    record.nanoseconds =
      this.divisor === 1 ? units * this.multiplier : Math.floor((units * this.multiplier) / this.divisor);
  }

  private enterHigh(high: number): void {
    const count = BigInt(high) * TWO_32;
    this.high = high;
    this.firstSecond = Number(count / this.bigUnits) + this.offset;
    this.firstStart = -Number(count % this.bigUnits);
    this.second = this.firstSecond;
    this.start = this.firstStart;
  }

  private enterSecond(low: number): void {
    const seconds = Math.floor((low - this.firstStart) / this.units);
    this.second = this.firstSecond + seconds;
    this.start = this.firstStart + seconds * this.units;
  }

  private convertBig(high: number, low: number, record: CaptureRecord): void {
    const count = BigInt(high) * TWO_32 + BigInt(low);
    record.seconds = Number(count / this.bigUnits) + this.offset;
    record.nanoseconds = Number(((count % this.bigUnits) * BigInt(GIGA)) / this.bigUnits);
  }
}
