import type { Lease } from './store.js';

/** What keeping up a lease takes of a store. */
export interface LeaseTerms {
  readonly id: string;
  readonly seconds: number;
  /** @returns false when it has ended; rejects when the store is away */
  renew(): Promise<boolean>;
  /** Ends it with its keys; rejects when the store is away. */
  revoke(): Promise<void>;
}

/** Renewed three times in its time; more often while the store does not answer. */
export class KeptLease implements Lease {
  readonly id: string;
  readonly lost: Promise<void>;
  private tellLost: () => void = () => {};
  private timer: NodeJS.Timeout | null = null;
  private ended = false;
  /** By `performance.now()`, which goes on while the process is stopped. */
  private validUntil: number;

  /** @param asked `performance.now()` before it was asked for: from then on it may run */
  constructor(
    private readonly terms: LeaseTerms,
    asked: number,
    private readonly onEnd: (lease: KeptLease) => void,
  ) {
    this.id = terms.id;
    this.lost = new Promise((resolve) => {
      this.tellLost = resolve;
    });
    this.validUntil = asked + 1000 * terms.seconds;
    this.renewIn(3);
  }

  get valid(): boolean {
    return !this.ended && performance.now() < this.validUntil;
  }

  async revoke(): Promise<void> {
    if (this.ended) return;
    this.end();
    await this.terms.revoke();
  }

  /** Keeps it up no longer. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.onEnd(this);
    this.tellLost();
  }

  private renewIn(part: number): void {
    this.timer = setTimeout(() => void this.renew(), (1000 * this.terms.seconds) / part);
  }

  private async renew(): Promise<void> {
    const asked = performance.now();
    try {
      const renewed = await this.terms.renew();
      if (this.ended) return;
      if (!renewed) {
        this.end();
        return;
      }
      this.validUntil = asked + 1000 * this.terms.seconds;
      this.renewIn(3);
    } catch {
      // The store is away: whether the lease lives is known when it is back.
      if (!this.ended) this.renewIn(10);
    }
  }
}
