import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import type { PacketBatch } from './batch.js';
import type { Action } from './verdict.js';

/** Outer IPv4 without options, and UDP. */
const OUTER = 28;
const UDP = IP_PROTOCOL_UDP;
/** Longest IPv4 packet. */
const LONGEST = 0xffff;
/** As many as every kernel takes in one call (UDP_MAX_SEGMENTS before Linux 6.9). */
export const LONGEST_TRAIN = 64;
const MOST = LONGEST_TRAIN;

/**
 * Finds trains among wrapped packets: neighbours with the same outer header, as long as the first but for the last,
 * which may be shorter. The kernel takes the datagrams of a train in one call, and cuts them again as late as it can.
 */
export class Trains {
  /** The packets of the train found last: slots. */
  readonly slots = new Int32Array(MOST);
  count = 0;
  /** Bytes of the whole train, with one outer header. */
  length = 0;

  /**
   * @param from slot to begin at
   * @returns slot to go on from; {@link count} is 0 when no packet with this action was left
   */
  find(batch: PacketBatch, action: Action, from: number): number {
    const end = batch.count;
    this.count = 0;
    let i = from;
    while (i < end && batch.action[i] !== action) i++;
    if (i === end) return end;
    const { data } = batch;
    const first = batch.offset[i];
    const longest = batch.length[i];
    const nextHop = batch.nextHop[i];
    this.slots[0] = i;
    this.count = 1;
    this.length = longest;
    if (!isPlainWrapper(data, first, longest)) return i + 1;
    for (i++; i < end; i++) {
      if (batch.action[i] !== action) continue;
      const length = batch.length[i];
      const offset = batch.offset[i];
      if (length > longest || this.length + length - OUTER > LONGEST || this.count === MOST) return i;
      if (batch.nextHop[i] !== nextHop || !isPlainWrapper(data, offset, length)) return i;
      if (!sameWrapper(data, offset, first)) return i;
      this.slots[this.count++] = i;
      this.length += length - OUTER;
      if (length < longest) return i + 1;
    }
    return end;
  }
}

/** IPv4 without options and fragments, and UDP without a checksum, both as long as the packet. */
function isPlainWrapper(data: DataView, offset: number, length: number): boolean {
  return (
    length > OUTER &&
    data.getInt32(offset) === (0x45000000 | length) &&
    (data.getUint16(offset + 6) & 0x3fff) === 0 &&
    data.getUint8(offset + 9) === UDP &&
    data.getInt32(offset + 24) === (length - 20) << 16
  );
}

/** All but lengths and the IPv4 checksum: identification, flags, TTL, addresses and ports. */
function sameWrapper(data: DataView, one: number, other: number): boolean {
  return (
    data.getInt32(one + 20) === data.getInt32(other + 20) &&
    data.getInt32(one + 16) === data.getInt32(other + 16) &&
    data.getInt32(one + 12) === data.getInt32(other + 12) &&
    data.getInt32(one + 4) === data.getInt32(other + 4) &&
    data.getUint8(one + 8) === data.getUint8(other + 8)
  );
}
