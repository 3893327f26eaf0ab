import type { CaptureRecord } from './record.js';

/** When a pcapng interface does not say: microseconds. */
export const DEFAULT_TSRESOL = 6;

const POWER_OF_TWO = 0x80;
/** Up to these resolutions all sums and products below stay exact in a double (2^53). */
const MOST_DECIMAL = 15;
const MOST_BINARY = 32;
const TWO_32 = 0x1_0000_0000;
const BIG_TWO_32 = 0x1_0000_0000n;
const GIGA = 1_000_000_000;
/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x8000_0000;

/**
 * Timestamps of one pcapng interface: 64-bit counts of a unit, turned into seconds and nanoseconds exactly (cut, not
 * rounded, where the unit is finer than a nanosecond).
 *
 * Nearly all packets lie in the same second as the one before. So the part of that second under the same upper word is
 * remembered as a range of lower words, and inside it a few operations on small integers are all there is to do.
 */
export class TimestampScale {
  // The range: upper word, first and last lower word (SIGN flipped), the lower word modulo 2^32 at which the second
  // began, its number, and nanoseconds per unit. Empty at first, and for ever where the arithmetic takes more.
  private high = 0;
  private first = 1;
  private last = 0;
  private start = 0;
  private second = 0;
  private readonly multiplier: number;

  private readonly offset: number;
  /** Units per second, also as a number where that is exact; 0 where only the BigInt way is. */
  private readonly bigUnits: bigint;
  private readonly units: number;
  /** Nanoseconds = floor(units * multiplier / divisor). */
  private readonly divisor: number;
  /** Upper word, the second in which the count `upper * 2^32` lies, and how many units before that it began. */
  private upper = -1;
  private upperSecond = 0;
  private upperUnits = 0;

  /** @param resolution value of if_tsresol; @param offset seconds to add, if_tsoffset */
  constructor(resolution: number, offset: number) {
    this.offset = offset;
    const exponent = resolution & 0x7f;
    const binary = (resolution & POWER_OF_TWO) !== 0;
    this.bigUnits = (binary ? 2n : 10n) ** BigInt(exponent);
    this.units = exponent <= (binary ? MOST_BINARY : MOST_DECIMAL) ? Number(this.bigUnits) : 0;
    // 10^9 units in lowest terms, so that the product stays exact: 10^9 = 2^9 * 5^9.
    const common = binary ? 2 ** Math.min(exponent, 9) : Math.min(this.units, GIGA);
    this.multiplier = GIGA / common;
    this.divisor = this.units / common;
  }

  /** Sets the record's `seconds` and `nanoseconds`. @param high, low the words of the count, as int32 */
  convert(high: number, low: number, record: CaptureRecord): void {
    const signed = low ^ SIGN;
    if (high === this.high && signed >= this.first && signed <= this.last) {
      record.seconds = this.second;
      record.nanoseconds = Math.imul(low - this.start, this.multiplier);
    } else {
      this.convertElsewhere(high >>> 0, low >>> 0, record);
    }
  }

  private convertElsewhere(high: number, low: number, record: CaptureRecord): void {
    if (this.units === 0) {
      this.convertBig(high, low, record);
      return;
    }
    if (high !== this.upper) this.enterUpper(high);
    const sinceUpper = this.upperUnits + low;
    const seconds = Math.floor(sinceUpper / this.units);
    const units = sinceUpper - seconds * this.units;
    record.seconds = this.upperSecond + seconds;
    record.nanoseconds = Math.floor((units * this.multiplier) / this.divisor);
    if (this.divisor !== 1) return;
    const start = low - units;
    this.high = high | 0;
    this.first = Math.max(start, 0) ^ SIGN;
    this.last = (Math.min(start + this.units, TWO_32) - 1) ^ SIGN;
    this.start = start | 0;
    this.second = record.seconds;
  }

  private enterUpper(high: number): void {
    const count = BigInt(high) * BIG_TWO_32;
    this.upper = high;
    this.upperSecond = Number(count / this.bigUnits) + this.offset;
    this.upperUnits = Number(count % this.bigUnits);
  }

  private convertBig(high: number, low: number, record: CaptureRecord): void {
    const count = BigInt(high) * BIG_TWO_32 + BigInt(low);
    record.seconds = Number(count / this.bigUnits) + this.offset;
    record.nanoseconds = Number(((count % this.bigUnits) * BigInt(GIGA)) / this.bigUnits);
  }
}
