import { PacketBatch } from './batch.js';
import { ENCAPSULATION_BASE, encapsulate } from './encapsulate.js';
import type { PathState, TrafficsetState } from './state.js';
import { Action, Verdict } from './verdict.js';

/**
 * Copies of ICMP errors whose quote does not tell the server of the flow: a quoted WireGuard or QUIC packet left the
 * server and names what the client chose. Every server of the table gets one; only the kernel that has the flow can make
 * something of it, and to the others a path MTU is true as well. Cloudflare's servers do the same with path MTU messages
 * (`pmtud`; RFC 7690 section 3.1 proposes it).
 *
 * One packet in, many out: copies per second are limited, and errors over the limit are dropped whole.
 */

/** Errors are short (RFC 1812 section 4.3.2.3: 576 bytes; RFC 4443 section 2.4: 1280). Longer ones are dropped. */
export const LONGEST_ICMP_ERROR = 1500;

const SOURCE_PORT = 0x8000;

export class IcmpCopies {
  /** Filled by {@link fill}: every packet is to be sent. */
  batch: PacketBatch | null = null;
  /** Errors of the current batch, by slot, and their trafficsets. */
  private readonly slots: Int32Array;
  private readonly trafficsets: TrafficsetState[] = [];
  private count = 0;
  /** How far {@link fill} has come: the error, and the member of its table. */
  private error = 0;
  private member = 0;
  /** Copies that may be made now; refilled as time goes by, up to one second's. Below 0 before the first error. */
  private allowance = -1;
  private lastRefill = 0;

  /** @param capacity of the batches that come */
  constructor(capacity: number) {
    this.slots = new Int32Array(capacity);
  }

  begin(): void {
    this.count = 0;
    this.error = 0;
    this.member = 0;
  }

  /**
   * Notes an error that is to go everywhere.
   * @param length in bytes; @param now in milliseconds
   * @returns a verdict: ForwardIcmpEverywhere, DropIcmpLimit, or DropTooBig
   */
  note(state: PathState, trafficset: TrafficsetState, slot: number, length: number, now: number): number {
    if (length > LONGEST_ICMP_ERROR || length + ENCAPSULATION_BASE > state.underlayMtu)
      return Verdict.DropTooBig;
    const second = state.icmpCopies;
    const refilled = this.allowance + (Math.max(0, now - this.lastRefill) * second) / 1000;
    this.allowance = this.allowance < 0 ? second : Math.min(second, refilled);
    this.lastRefill = now;
    const copies = trafficset.members.length;
    if (copies > this.allowance) return Verdict.DropIcmpLimit;
    this.allowance -= copies;
    this.slots[this.count] = slot;
    this.trafficsets[this.count] = trafficset;
    this.count++;
    return Verdict.ForwardIcmpEverywhere;
  }

  /**
   * Makes the next copies, as many as the batch holds.
   * @param from where the errors lie, unchanged
   * @returns the batch to be sent, or null when all copies were made
   */
  fill(state: PathState, from: PacketBatch): PacketBatch | null {
    if (this.error === this.count) return null;
    this.batch ??= new PacketBatch({ maxPacket: LONGEST_ICMP_ERROR });
    const { batch } = this;
    batch.clear();
    while (this.error < this.count && batch.count < batch.capacity) {
      const { members } = this.trafficsets[this.error];
      if (this.member === members.length) {
        this.error++;
        this.member = 0;
        continue;
      }
      const dip = members[this.member++];
      if (dip !== state.dip) this.copy(state, from, this.slots[this.error], dip, batch);
    }
    return batch.count === 0 ? null : batch;
  }

  private copy(state: PathState, from: PacketBatch, slot: number, dip: number, batch: PacketBatch): void {
    const index = batch.count++;
    const start = from.offset[slot];
    const length = from.length[slot];
    const offset = batch.payloadOffset(index);
    from.bytes.copy(batch.bytes, offset, start, start + length);
    const version = batch.data.getUint8(offset) >>> 4;
    // No flow to keep in order: one source port for all.
    encapsulate(batch.data, offset, length, version, state.self, dip, SOURCE_PORT, state.port, 0, 0);
    batch.offset[index] = offset - ENCAPSULATION_BASE;
    batch.length[index] = length + ENCAPSULATION_BASE;
    batch.nextHop[index] = dip;
    batch.verdict[index] = Verdict.ForwardIcmpEverywhere;
    batch.action[index] = Action.Send;
  }
}
