import { DISSECT_DROP, DISSECT_SERVER } from '../flow/dissector.js';
import { FlowKey } from '../flow/flow-key.js';
import { fourTupleKey } from '../flow/four-tuple.js';
import type { Classifier } from './classify.js';
import type { TrafficsetState } from './state.js';

/** Instead of a key's length: no key can be had, because only the packet would tell it, and this one quotes a reply. */
export const NO_KEY = DISSECT_DROP - 100;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const SERVER = DISSECT_SERVER;

/** Takes the flow key of a classified packet, by the dissector of its trafficset; both stages do it alike. */
export class FlowKeys {
  readonly key = new FlowKey();
  /** 1 when the dissector had no key, and the 4-tuple was taken. */
  fellBack = 0;
  /** 1 when the packet names its server: `key.server`. The key is the 4-tuple then. */
  named = 0;

  /** @returns the key's length in bytes, NO_KEY, or DISSECT_DROP and below */
  take(trafficset: TrafficsetState, classifier: Classifier): number {
    const { key } = this;
    const { flow } = classifier;
    this.fellBack = 0;
    this.named = 0;
    const { dissector } = trafficset;
    if (flow.quoted === 1) {
      return dissector.dissectQuoted === undefined ? NO_KEY : dissector.dissectQuoted(flow, key);
    }
    const length = dissector.dissect(classifier.packet, flow, key);
    if (length > 0) {
      key.length = length;
      return length;
    }
    if (length < SERVER) return length;
    if (length === SERVER) this.named = 1;
    else this.fellBack = 1;
    return fourTupleKey(flow, key);
  }
}
