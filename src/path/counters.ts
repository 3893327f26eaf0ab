import { VERDICT_COUNT } from './verdict.js';

/** The two stages of the path; counters are kept apart, so that one packet's two visits can be told apart. */
export const Stage = {
  /** Packets that the router sent to a VIP here. */
  Forward: 0,
  /** GUE packets from other nodes. */
  Redirect: 1,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

export const STAGE_NAMES: readonly string[] = ['forward', 'redirect'];

/** A constant of this module is folded into the code; an imported one is loaded at every use. */
const VERDICTS_PER_ROW = VERDICT_COUNT;

/**
 * Packets and bytes by stage, trafficset and verdict, in shared memory: one worker writes, the main thread only
 * reads. Doubles count exactly to 2^53 and, aligned, are never seen half-written on 64-bit machines.
 */
export class PathCounters {
  readonly trafficsets: number;
  /** Packets and bytes, alternating: both of a cell lie in one cache line. */
  private readonly cells: Float64Array;

  /**
   * @param trafficsets number of trafficsets; row 0 counts packets of none of them
   * @param memory shared memory of {@link PathCounters.byteLength} bytes; made when absent
   */
  constructor(
    trafficsets: number,
    readonly memory: SharedArrayBuffer = new SharedArrayBuffer(PathCounters.byteLength(trafficsets)),
  ) {
    this.trafficsets = trafficsets;
    this.cells = new Float64Array(memory);
  }

  static byteLength(trafficsets: number): number {
    return 2 * 2 * (trafficsets + 1) * VERDICT_COUNT * 8;
  }

  /** @param trafficset index, or -1 for none; @param length of the packet as it came, in bytes */
  add(stage: Stage, trafficset: number, verdict: number, length: number): void {
    const cell = (stage * (this.trafficsets + 1) + trafficset + 1) * VERDICTS_PER_ROW + verdict;
    this.cells[2 * cell] += 1;
    this.cells[2 * cell + 1] += length;
  }

  /** Calls `each` for every cell that is not zero. */
  forEach(
    each: (stage: Stage, trafficset: number, verdict: number, packets: number, bytes: number) => void,
  ): void {
    let cell = 0;
    for (const stage of [Stage.Forward, Stage.Redirect]) {
      for (let trafficset = -1; trafficset < this.trafficsets; trafficset++) {
        for (let verdict = 0; verdict < VERDICT_COUNT; verdict++, cell++) {
          if (this.cells[2 * cell] !== 0) {
            each(stage, trafficset, verdict, this.cells[2 * cell], this.cells[2 * cell + 1]);
          }
        }
      }
    }
  }

  /** Packets with this verdict over all stages and trafficsets, or of one stage. For tests and summaries. */
  total(verdict: number, stage?: Stage): number {
    let sum = 0;
    this.forEach((atStage, _trafficset, atVerdict, packets) => {
      if (atVerdict === verdict && (stage === undefined || stage === atStage)) sum += packets;
    });
    return sum;
  }
}
