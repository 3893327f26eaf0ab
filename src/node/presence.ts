import { encodeRecord, Keys, type NodeRecord } from '../store/records.js';
import type { LeasedRecords } from './leased-records.js';

/** Between two reports when nothing changes. */
export const REPORT_MS = 1000;

/** What a node is at this moment. */
export type NodeState = Omit<NodeRecord, 'sequence'>;

/**
 * The node's record in the store: written at once when anything changes but the CPU, and every second otherwise, so
 * that a report that stands still is known to be stale.
 */
export class Presence {
  private sequence = 0;
  private told = '';
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly name: string,
    private readonly records: LeasedRecords,
    private readonly state: () => NodeState,
    private readonly everyMs = REPORT_MS,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.report(), this.everyMs);
    this.timer.unref();
    this.report();
  }

  /** Something may have changed. */
  touch(): void {
    if (this.timer !== null && essence(this.state()) !== this.told) this.report();
  }

  /** Says how things stand, and no more after that. */
  stop(): void {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    this.report();
  }

  private report(): void {
    const state = this.state();
    this.told = essence(state);
    const record: NodeRecord = { ...state, sequence: this.sequence++ };
    this.records.put(Keys.node(this.name), encodeRecord(record));
  }
}

/** CPU changes all the time: it can wait for the next report. */
function essence(state: NodeState): string {
  return JSON.stringify({ ...state, cpu: null });
}
