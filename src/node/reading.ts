/** Batches of each source before the control messages are looked at again: a few milliseconds at full load. */
const MOST_ROUNDS = 16;
/** Longest sleep, in milliseconds. An infinite one would hold up the end of the process. */
const LONGEST_SLEEP = 100;

/**
 * What a data-plane thread reads between two sleeps, in rounds of at most one batch from each source. At low load
 * every system call counts: only what poll(2) named is read. A batch that was filled left more behind, and took its
 * time: from then on both sources are read, so that neither waits for the other, until no batch is full or it is time
 * to look at the control messages.
 */
export class Reading {
  /** Whether the round that comes reads the source. */
  tun = false;
  gue = false;
  private rounds = 0;

  /** @param capacity packets of a full batch */
  constructor(private readonly capacity: number) {}

  /** After a sleep, with what poll(2) said. */
  begin(tun: boolean, gue: boolean): void {
    this.tun = tun;
    this.gue = gue;
    this.rounds = 0;
  }

  /** After a round. @returns whether there is another one */
  goesOn(fromTun: number, fromGue: number): boolean {
    this.rounds++;
    // A batch that was not filled emptied its source.
    if (fromTun < this.capacity && fromGue < this.capacity) return false;
    this.tun = true;
    this.gue = true;
    return this.rounds < MOST_ROUNDS;
  }
}

/** For poll(2), in milliseconds. @param pending packets are here that it would not tell of */
export function sleepFor(pending: boolean): number {
  return pending ? 0 : LONGEST_SLEEP;
}
