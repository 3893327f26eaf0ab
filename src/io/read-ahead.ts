/**
 * How many packets to ask a source for with one call, where asking for more than there are costs something too (how
 * much has not been measured): one more than came last time, so that the answer tells when the source is
 * empty; twice as many after an answer that left none wanting; and after a burst half as many each time.
 */
export class ReadAhead {
  /** Packets to ask for next, from 2 on. */
  next = LEAST;

  /** @param most packets in one call */
  constructor(private readonly most: number) {}

  /** Call after each answer: `asked` for, and `came`. */
  learn(asked: number, came: number): void {
    const wanted = came === asked ? 2 * this.next : Math.max(came + 1, asked >> 1);
    this.next = Math.min(Math.max(wanted, LEAST), this.most);
  }

  /** Forgets what came: as at the beginning. */
  restart(): void {
    this.next = LEAST;
  }
}

/** One packet, and the answer that there is no second: without it a call more would have to ask. */
const LEAST = 2;
