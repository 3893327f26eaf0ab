import { monotonicMilliseconds } from '../io/clock.js';

/** Who finds out whether the store can be reached. */
export type ContactSource = 'reads' | 'writes';

/** Whether the store can be reached, as those who talk to it find out, and when it was last heard of. */
export class StoreContact {
  /** null before the first word of it. */
  private reached: boolean | null = null;
  private readonly troubles = new Map<ContactSource, string>();
  private last: number;

  /**
   * @param changed the store went away or came back; @param why for people, '' when it is there
   * @param clock milliseconds, never going back
   */
  constructor(
    private readonly changed: (available: boolean, why: string) => void,
    private readonly clock: () => number = monotonicMilliseconds,
  ) {
    this.last = clock();
  }

  get available(): boolean {
    return this.reached === true;
  }

  /** Seconds since it was last heard of; since the start when it never was. */
  get silentSeconds(): number {
    return Math.max(0, (this.clock() - this.last) / 1000);
  }

  /** It answered, or told of something. */
  heard(source: ContactSource): void {
    this.last = this.clock();
    this.troubles.delete(source);
    this.judge();
  }

  /** It did not answer. */
  failed(source: ContactSource, why: string): void {
    this.troubles.set(source, why);
    this.judge();
  }

  private judge(): void {
    const [why] = this.troubles.values();
    const reached = why === undefined;
    if (this.reached === reached) return;
    this.reached = reached;
    this.changed(reached, why ?? '');
  }
}
