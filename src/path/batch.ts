import { type Arena, PlainArena, VectorArena } from './arena.js';

/**
 * A batch of packets: one arena of fixed slots, and parallel arrays that say where in its slot each packet lies
 * and what was decided about it. Made once, filled and emptied for ever; nothing is allocated per packet.
 *
 * Each slot has headroom in front of the payload, so that encapsulation writes headers and moves no bytes.
 */

/** Bytes in front of a received payload. 36 + 4 per hop are used by encapsulation; the rest is for offload headers. */
export const HEADROOM = 64;

/** Packets per batch: at 64 a wake-up costs little per packet, and more brings nothing (see native-notes). */
export const BATCH_CAPACITY = 64;

export interface BatchOptions {
  /** Number of slots. Default {@link BATCH_CAPACITY}. */
  readonly capacity?: number;
  /** Largest payload in bytes that a slot must hold. Default 9216 (jumbo frames). */
  readonly maxPacket?: number;
  /** Bytes behind the slots, for ports that receive more than one packet at once. Default 0. */
  readonly extra?: number;
}

export class PacketBatch {
  readonly capacity: number;
  /** Bytes from one slot to the next: an odd number of 64-byte lines, so that slots do not share cache sets. */
  readonly slotSize: number;
  /** Largest payload a slot can hold. */
  readonly maxPacket: number;
  /** With vector instructions where super-packets are cut and joined, so where there are `extra` bytes. */
  readonly arena: Arena;
  /** The arena's: its address is stable and may be handed to system calls. */
  readonly bytes: Buffer;
  readonly data: DataView;
  /** Where in the arena the bytes behind the slots begin, and how many there are. */
  readonly extraOffset: number;
  readonly extra: number;
  /** Start of each packet, absolute in the arena. */
  readonly offset: Int32Array;
  /** Length of each packet in bytes. */
  readonly length: Int32Array;
  /** What was decided: a `Verdict`. */
  readonly verdict: Uint8Array;
  /** What is to be done: an `Action`; follows from the verdict. */
  readonly action: Uint8Array;
  /** Destination DIP as a number (host order) where the action is `Send`. */
  readonly nextHop: Uint32Array;
  /** Index of the trafficset, -1 for none. */
  readonly trafficset: Int16Array;
  /** Keyed hash of the flow, where a trafficset's table was looked into. */
  readonly flowHash: Uint32Array;
  /** Packets in the batch: slots 0 .. count-1. */
  count = 0;

  constructor(options: BatchOptions = {}) {
    this.capacity = options.capacity ?? BATCH_CAPACITY;
    this.maxPacket = options.maxPacket ?? 9216;
    const lines = Math.ceil((HEADROOM + this.maxPacket) / 64);
    this.slotSize = 64 * (lines | 1);
    this.extra = options.extra ?? 0;
    this.extraOffset = this.capacity * this.slotSize;
    const size = this.extraOffset + this.extra;
    this.arena = this.extra > 0 ? new VectorArena(size) : new PlainArena(size);
    this.bytes = this.arena.bytes;
    this.data = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.offset = new Int32Array(this.capacity);
    this.length = new Int32Array(this.capacity);
    this.verdict = new Uint8Array(this.capacity);
    this.action = new Uint8Array(this.capacity);
    this.nextHop = new Uint32Array(this.capacity);
    this.trafficset = new Int16Array(this.capacity);
    this.flowHash = new Uint32Array(this.capacity);
  }

  /** Where a received payload belongs in slot `index`. */
  payloadOffset(index: number): number {
    return index * this.slotSize + HEADROOM;
  }

  clear(): void {
    this.count = 0;
  }

  /** Copies a packet into the next slot; false when the batch is full or the packet larger than a slot. */
  push(packet: Uint8Array): boolean {
    if (this.count === this.capacity || packet.length > this.maxPacket) return false;
    const offset = this.payloadOffset(this.count);
    this.bytes.set(packet, offset);
    this.append(offset, packet.length);
    return true;
  }

  /** Takes what lies at `offset` in the next slot as a packet, not decided yet. The slot has to be free. */
  append(offset: number, length: number): void {
    const index = this.count;
    this.offset[index] = offset;
    this.length[index] = length;
    this.verdict[index] = 0;
    this.action[index] = 0;
    this.nextHop[index] = 0;
    this.count = index + 1;
  }

  /** A view (not a copy) of packet `index`. Allocates: for cold paths and tests. */
  packet(index: number): Uint8Array {
    const offset = this.offset[index];
    return this.bytes.subarray(offset, offset + this.length[index]);
  }
}
