import { TestbedError } from '../errors.js';
import { TRAFFICSET } from './cluster.js';

/** What `twohop server ... --json` prints, as far as scenarios look at it. */
export interface ServerChange {
  readonly server: string;
  /** What was still missing when it stopped waiting; null when everybody followed. */
  readonly missing: string | null;
  readonly seconds: number | null;
  readonly trafficsets: readonly TrafficsetChange[];
}

export interface TrafficsetChange {
  readonly trafficset: string;
  readonly version: number;
  readonly buckets: number;
  /** Buckets that changed. */
  readonly changed: number;
  readonly byRule: readonly { readonly rule: string; readonly kind: string; readonly buckets: number }[];
  /** Buckets whose established flows take the second hop now. */
  readonly longer: number;
}

/** What it changed in the demonstration's trafficset. @throws {TestbedError} when there is no word of it */
export function changeOf({ server, trafficsets }: ServerChange): TrafficsetChange {
  const change = trafficsets.find(({ trafficset }) => trafficset === TRAFFICSET);
  if (change === undefined) throw new TestbedError(`the change of ${server} says nothing of ${TRAFFICSET}`);
  return change;
}
