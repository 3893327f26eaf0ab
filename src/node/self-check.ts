import { interfaceIsUp } from '../io/net-device.js';
import type { WorkerStatus } from './worker-status.js';

/** Looks in a row at which a worker may not have moved; it wakes up ten times as often when it has nothing to do. */
const MOST_STILL = 5;

/** Whether this node can do its work, by what can be seen from outside the workers. */
export class SelfCheck {
  /** What is wrong, for people; empty when nothing is. */
  problems: readonly string[] = [];
  private readonly seen: { wakeups: number; still: number }[] = [];

  /** @param tun name of the device */
  look(tun: string, workers: readonly WorkerStatus[]): void {
    const problems = interfaceIsUp(tun) ? [] : [`${tun} is gone or down`];
    for (const [index, status] of workers.entries()) {
      const wakeups = status.get('wakeups');
      const before = this.seen[index];
      const still = before?.wakeups === wakeups ? before.still + 1 : 0;
      this.seen[index] = { wakeups, still };
      if (still >= MOST_STILL) problems.push(`data-plane worker ${index} stands still`);
    }
    this.problems = problems;
  }
}
