const MOST_TOLD = 64;

/** Which of the values that were handed to the workers all of them use by now. */
export class InUse {
  /** Message number under which the workers were told of each value. */
  private readonly told = new Map<number, number>();

  /** @param value before the first */
  constructor(private value: number) {}

  /** @param sequence of the message; 0 for what the workers were started with */
  tell(sequence: number, value: number): void {
    this.told.set(sequence, value);
    // Nobody may ever ask; what is old is of no interest then.
    if (this.told.size > MOST_TOLD) this.told.delete(this.told.keys().next().value ?? 0);
  }

  /** @param taken the last message that every worker has taken */
  get(taken: number): number {
    for (const [sequence, value] of this.told) {
      if (sequence > taken) break;
      this.value = value;
      this.told.delete(sequence);
    }
    return this.value;
  }
}
