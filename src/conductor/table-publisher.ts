import type { Logger } from 'pino';
import { StoreError } from '../store/store.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { findBadRow } from '../table/rows.js';
import type { RememberedTable } from './memory.js';
import type { ConductorMetrics } from './metrics.js';
import { type PlannerState, toTable } from './plan/index.js';

/** Where a keeper's tables go. */
export interface KeeperOutput {
  /**
   * Puts the next table into the store.
   * @returns false when we do not lead any more
   * @throws StoreError; after `uncertain` the store's own word is {@link current}
   */
  publish(next: RememberedTable): Promise<boolean>;
  /** What the store has. @throws StoreError */
  current(): Promise<RememberedTable | null>;
  /** What is shown of this trafficset changed. */
  changed(): void;
}

/** Brings the tables of one trafficset into the store, and knows whether they have arrived. */
export class TablePublisher {
  /** A table is on its way to the store. */
  isPublishing = false;
  /** Why the store did not take the last table; '' when it did. */
  refusal = '';
  private readonly trafficset: string;
  private readonly hashKey: Uint8Array;

  /** @param begin what the store has */
  constructor(
    begin: ForwardingTable,
    private readonly output: KeeperOutput,
    private readonly log: Logger,
    private readonly metrics: ConductorMetrics,
  ) {
    this.trafficset = begin.trafficset;
    this.hashKey = begin.hashKey;
  }

  /** @returns whether the store has it now */
  async publish(state: PlannerState): Promise<boolean> {
    const { version, slots, changedAt, corrections } = state;
    // The planner keeps tables full; a defect there must not reach the nodes.
    const bad = findBadRow(slots);
    if (bad !== undefined) throw new Error(`the planner made a bad row: ${bad.code} in bucket ${bad.bucket}`);
    const table = toTable(state, this.trafficset, this.hashKey);
    this.isPublishing = true;
    try {
      if (!(await this.output.publish({ table, changedAt, corrections }))) return false;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.metrics.storeFailed(error.code);
      if (error.code !== 'uncertain' || !(await this.wasPublished(version))) {
        this.refused(version, error);
        return false;
      }
    } finally {
      this.isPublishing = false;
    }
    if (this.refusal !== '') this.log.info({ trafficset: this.trafficset }, 'the store takes tables again');
    this.refusal = '';
    this.output.changed();
    return true;
  }

  private async wasPublished(version: number): Promise<boolean> {
    try {
      const current = await this.output.current();
      return current !== null && current.table.version === version;
    } catch (error) {
      if (error instanceof StoreError) return false;
      throw error;
    }
  }

  private refused(version: number, { code, message }: StoreError): void {
    const refusal = `the store does not take version ${version}: ${message}`;
    if (this.refusal !== refusal) this.log.error({ trafficset: this.trafficset, code }, refusal);
    this.refusal = refusal;
    this.output.changed();
  }
}
