import { MAX_DROP_REASONS } from '../flow/dissector.js';
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

/** Where the flow key of a packet came from, when it was not the dissector's own key; and why there was none. */
export const KeyOutcome = {
  /** The packet carries no key: its 4-tuple was taken. */
  Fallback: 0,
  /** The packet names its server. */
  Server: 1,
  /** It names a server that stands in no bucket of the table: its 4-tuple was taken. */
  ServerGone: 2,
  /** Dropped, for the first of the dissector's reasons; the others follow. */
  Drop: 3,
} as const;

const KEY_OUTCOMES = KeyOutcome.Drop + MAX_DROP_REASONS;

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
  /** {@link KEY_OUTCOMES} per trafficset. */
  private readonly keys: Float64Array;

  /**
   * @param trafficsets number of trafficsets; row 0 counts packets of none of them
   * @param memory shared memory of {@link PathCounters.byteLength} bytes; made when absent
   */
  constructor(
    trafficsets: number,
    readonly memory: SharedArrayBuffer = new SharedArrayBuffer(PathCounters.byteLength(trafficsets)),
  ) {
    this.trafficsets = trafficsets;
    const cells = cellCount(trafficsets);
    this.cells = new Float64Array(memory, 0, cells);
    this.keys = new Float64Array(memory, 8 * cells);
  }

  static byteLength(trafficsets: number): number {
    return 8 * (cellCount(trafficsets) + trafficsets * KEY_OUTCOMES);
  }

  /** @param trafficset index, or -1 for none; @param length of the packet as it came, in bytes */
  add(stage: Stage, trafficset: number, verdict: number, length: number): void {
    // In int32, so that no step is checked for overflow.
    const row = Math.imul(stage, this.trafficsets + 1) + trafficset + 1;
    const at = (Math.imul(row, VERDICTS_PER_ROW) + verdict) << 1;
    const { cells } = this;
    cells[at] += 1;
    cells[at + 1] += length;
  }

  /** @param outcome a {@link KeyOutcome}, for drops plus the number of the reason */
  addKey(trafficset: number, outcome: number): void {
    this.keys[trafficset * KEY_OUTCOMES + outcome] += 1;
  }

  /** Packets of a trafficset whose key came about so. */
  keyCount(trafficset: number, outcome: number): number {
    return this.keys[trafficset * KEY_OUTCOMES + outcome];
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

/** Packets and bytes of two stages, every trafficset and none, every verdict. */
function cellCount(trafficsets: number): number {
  return 2 * 2 * (trafficsets + 1) * VERDICT_COUNT;
}
