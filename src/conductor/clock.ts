/** Time as the conductor sees it; tests give one that they turn themselves. */
export interface Clock {
  /** Milliseconds that only ever grow, from anywhere: for ages and intervals. */
  now(): number;
  /** Unix time in milliseconds: for what others read. */
  unix(): number;
  /** Calls once, after so many milliseconds. @returns what cancels it */
  after(milliseconds: number, call: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  unix: () => Date.now(),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Resolves after so many milliseconds of this clock. */
export function pause(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(milliseconds, resolve);
  });
}

/** Wakes one who waits; what rings before the waiting begins is not lost. */
export class Bell {
  private isRung = false;
  private wake: () => void = () => {};

  ring(): void {
    this.isRung = true;
    this.wake();
  }

  /** Resolves when it has been rung since the last time, or after so many milliseconds. */
  async rung(clock: Clock, milliseconds: number): Promise<void> {
    if (!this.isRung) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(milliseconds, resolve);
        this.wake = () => {
          cancel();
          resolve();
        };
      });
    }
    this.isRung = false;
  }
}
