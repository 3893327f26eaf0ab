import type { NodeRecord } from '../../store/records.js';
import type { Clock } from '../clock.js';
import type { LoadSource } from './source.js';

/** Samples of a node that are kept: more than a node sends between two balance steps would not make the mean better. */
const KEPT = 64;

interface Sample {
  readonly at: number;
  readonly cpu: number;
}

/**
 * What the nodes report of their CPU, taken down as it comes. The time that counts is when we saw the report change, by
 * our own clock: clocks of other machines are not asked.
 */
export class NodeReports {
  private readonly samples = new Map<string, Sample[]>();

  constructor(private readonly clock: Clock) {}

  /** A node's report has moved. */
  report(server: string, { cpu }: NodeRecord): void {
    if (cpu === null) return;
    const samples = this.samples.get(server) ?? [];
    samples.push({ at: this.clock.now(), cpu });
    if (samples.length > KEPT) samples.shift();
    this.samples.set(server, samples);
  }

  /**
   * For one trafficset: the mean of what came within its interval, so that a peak of a second moves nothing; where
   * nothing did, the last within two of them; older ones are stale.
   */
  source(intervalSeconds: number): LoadSource {
    return {
      sample: () => {
        const now = this.clock.now();
        const loads = new Map<string, number>();
        for (const [server, samples] of this.samples) {
          const age = (sample: Sample) => (now - sample.at) / 1000;
          const recent = samples.filter((sample) => age(sample) <= intervalSeconds);
          const used = recent.length > 0 ? recent : samples.slice(-1);
          if (used.length === 0 || age(used[0]) > 2 * intervalSeconds) continue;
          loads.set(server, used.reduce((sum, { cpu }) => sum + cpu, 0) / used.length);
        }
        return Promise.resolve(loads);
      },
    };
  }
}
