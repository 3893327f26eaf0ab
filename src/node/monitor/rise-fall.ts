/** What follows from single checks: up after `rise` successes in a row, down after `fall` failures in a row. */
export class RiseFall {
  /** null: not known (yet). */
  up: boolean | null = null;
  private last: boolean | null = null;
  private inARow = 0;

  constructor(
    private readonly rise: number,
    private readonly fall: number,
  ) {}

  /**
   * @param success of a check; null when it could not be made: after `fall` of those in a row nothing is known any more
   * @returns whether `up` changed
   */
  record(success: boolean | null): boolean {
    this.inARow = success === this.last ? this.inARow + 1 : 1;
    this.last = success;
    if (success === this.up || this.inARow < (success === true ? this.rise : this.fall)) return false;
    this.up = success;
    return true;
  }
}
