import type { StatusRecord } from '../../store/records.js';
import { TRAFFICSET } from './cluster.js';
import type { Watch } from './watch.js';

export type Moves = StatusRecord['trafficsets'][string]['moves'][number];

/** All changes of the table since it was begun; the status itself only has the last ones. */
export class MoveLog {
  private readonly byVersion = new Map<number, Moves>();
  private readonly stop: () => void;

  private constructor(watch: Watch) {
    const first = watch.view.status?.trafficsets[TRAFFICSET]?.version ?? 0;
    this.stop = watch.follow(({ status }) => {
      for (const moves of status?.trafficsets[TRAFFICSET]?.moves ?? []) {
        if (moves.version > first) this.byVersion.set(moves.version, moves);
      }
    });
  }

  static begin(watch: Watch): MoveLog {
    return new MoveLog(watch);
  }

  end(): void {
    this.stop();
  }

  get versions(): number {
    return this.byVersion.size;
  }

  /** Buckets changed, by kind of move; of one rule, or of all. */
  byKind(rule?: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { byRule } of this.byVersion.values()) {
      for (const one of byRule) {
        if (rule === undefined || one.rule === rule) counts[one.kind] = (counts[one.kind] ?? 0) + one.buckets;
      }
    }
    return counts;
  }

  /** Buckets changed by this rule. */
  of(rule: string): number {
    return Object.values(this.byKind(rule)).reduce((sum, buckets) => sum + buckets, 0);
  }
}
