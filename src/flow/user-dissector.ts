import type { IpPacket } from '../wire/ip.js';
import { DISSECT_DROP, DISSECT_FALLBACK, DISSECT_SERVER, type FlowDissector } from './dissector.js';
import type { Flow } from './flow.js';
import { type FlowKey, MAX_KEY_LENGTH } from './flow-key.js';
import { fourTupleKey } from './four-tuple.js';

/** Reasons that a user's dissector has besides its own. */
const OWN_DROPS = ['bad_result', 'exception'] as const;

/**
 * A user's dissector, believed in nothing: one that throws drops its packet, and a result that means nothing does, each
 * under a reason of its own, so that no packet can end a node through somebody's mistake.
 */
export class UserDissector implements FlowDissector {
  readonly name: string;
  readonly drops: readonly string[];
  readonly dissectQuoted?: (flow: Flow, key: FlowKey) => number;
  readonly deliver?: (packet: IpPacket) => void;
  /** The last code of its own drops. */
  private readonly lastDrop: number;
  private readonly badResult: number;
  private readonly exception: number;

  constructor(private readonly inner: FlowDissector) {
    const drops = inner.drops ?? [];
    this.name = inner.name;
    this.drops = [...drops, ...OWN_DROPS];
    this.lastDrop = DISSECT_DROP - drops.length + 1;
    this.badResult = DISSECT_DROP - drops.length;
    this.exception = this.badResult - 1;
    if (inner.dissectQuoted !== undefined) this.dissectQuoted = (flow, key) => this.quoted(flow, key);
    if (inner.deliver !== undefined) this.deliver = (packet) => this.prepare(packet);
  }

  dissect(packet: IpPacket, flow: Flow, key: FlowKey): number {
    let result: number;
    try {
      result = this.inner.dissect(packet, flow, key);
    } catch {
      return this.exception;
    }
    if (isKeyLength(result) || result === DISSECT_FALLBACK) return result;
    if (result === DISSECT_SERVER) {
      // DIPs are int32 in the path, and host-order numbers to people.
      key.server |= 0;
      return result;
    }
    return Number.isInteger(result) && result <= DISSECT_DROP && result >= this.lastDrop
      ? result
      : this.badResult;
  }

  /** What is no key is the 4-tuple, as where `dissect` says so. */
  private quoted(flow: Flow, key: FlowKey): number {
    try {
      const length = this.inner.dissectQuoted?.(flow, key) ?? DISSECT_FALLBACK;
      if (isKeyLength(length)) {
        key.length = length;
        return length;
      }
    } catch {
      // As below.
    }
    return fourTupleKey(flow, key);
  }

  private prepare(packet: IpPacket): void {
    try {
      this.inner.deliver?.(packet);
    } catch {
      // The service gets the packet as it is then.
    }
  }
}

/** How many reasons to drop a user's dissector may have of its own. */
export function mostUserDrops(most: number): number {
  return most - OWN_DROPS.length;
}

function isKeyLength(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_KEY_LENGTH;
}
