import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import type { TrafficsetConfig } from './trafficset.js';
import { compileVips, type SharedVips } from './vip-compile.js';
import { NO_SERVICE, NOT_VIP } from './vip-services.js';

export { NO_SERVICE, NOT_VIP, type SharedVips };

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const MISS = NOT_VIP;
const NOTHING = NO_SERVICE;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const ESP = IP_PROTOCOL_ESP;

/** Interval tables that take more than this many bytes are mostly in no cache that is near. */
const LARGE = 1 << 18;

/**
 * Finds the trafficset of a destination: asked once per packet.
 *
 * Most specific wins: the longest prefix that has a rule for the protocol and port, then the narrower port range.
 * Both questions were settled when the matcher was built. A lookup finds the interval of the address (arithmetic
 * picks a cell of about one interval, a binary search does the rest), and in its service the segment of the port.
 */
export class VipMatcher {
  /** 1 when {@link fetch4} and {@link fetch6} pay. */
  readonly isLarge: number;
  private readonly vips: SharedVips;
  private readonly cells4: Int32Array;
  private readonly low4: number;
  private readonly span4: number;
  private readonly shift4: number;
  private readonly starts4: Uint32Array;
  private readonly services4: Int32Array;
  private readonly cells6: Int32Array;
  private readonly low6: number;
  private readonly span6: number;
  private readonly shift6: number;
  private readonly starts6: Uint32Array;
  private readonly services6: Int32Array;
  private readonly stem0: number;
  private readonly stem1: number;
  private readonly stem2: number;
  private readonly stemMask0: number;
  private readonly stemMask1: number;
  private readonly stemMask2: number;
  private readonly stemLength: number;
  private readonly firstSegment: Int32Array;
  private readonly segmentStart: Uint16Array;
  private readonly segmentTrafficset: Int32Array;
  private readonly anyPort: Int32Array;

  private constructor(vips: SharedVips) {
    const { ipv4, ipv6, services } = vips;
    this.vips = vips;
    const bytes = [ipv4, ipv6].map(({ cells, starts }) => cells.byteLength + starts.byteLength);
    this.isLarge = Math.max(...bytes) >= LARGE ? 1 : 0;
    this.cells4 = ipv4.cells;
    this.low4 = ipv4.low;
    this.span4 = ipv4.span;
    this.shift4 = ipv4.shift;
    this.starts4 = ipv4.starts;
    this.services4 = ipv4.services;
    this.cells6 = ipv6.cells;
    this.low6 = ipv6.low;
    this.span6 = ipv6.span;
    this.shift6 = ipv6.shift;
    this.starts6 = ipv6.starts;
    this.services6 = ipv6.services;
    [this.stem0, this.stem1, this.stem2] = ipv6.stem.words;
    [this.stemMask0, this.stemMask1, this.stemMask2] = ipv6.stem.masks;
    this.stemLength = ipv6.stem.length;
    this.firstSegment = services.firstSegment;
    this.segmentStart = services.segmentStart;
    this.segmentTrafficset = services.segmentTrafficset;
    this.anyPort = services.anyPort;
  }

  /**
   * @param trafficsets answers are positions in this array
   * @throws TableError `rule-conflict`: two trafficsets claim the same prefix, protocol and port, and neither is more
   *   specific
   */
  static build(trafficsets: readonly TrafficsetConfig[]): VipMatcher {
    return new VipMatcher(compileVips(trafficsets));
  }

  /** Takes up a matcher that another thread built; nothing is copied. */
  static fromShared(vips: SharedVips): VipMatcher {
    return new VipMatcher(vips);
  }

  /** For `postMessage`: the receiver calls {@link VipMatcher.fromShared}. */
  shared(): SharedVips {
    return this.vips;
  }

  /** Where an address's lookup begins: an index into `cells` of its family, or -1 when it is surely no VIP. */
  cell4(address: number): number {
    const distance = ((address | 0) - this.low4) >>> 0;
    return distance > this.span4 >>> 0 ? MISS : distance >>> this.shift4;
  }

  /** The same for IPv6. @param data holds the address, network order; @param offset where */
  cell6(data: DataView, offset: number): number {
    const distance = this.distance6(
      data.getUint32(offset),
      data.getUint32(offset + 4),
      data.getUint32(offset + 8),
      data.getUint32(offset + 12),
    );
    return distance > this.span6 >>> 0 ? MISS : distance >>> this.shift6;
  }

  /**
   * Reads what the lookups of some addresses will read, all of them together: what is in no cache comes many times
   * faster so than one lookup after the other. Changes nothing.
   *
   * @param cells as {@link cell4} told, overwritten; @param count of them
   * @returns a number of no meaning, so that the reading is not left out
   */
  fetch4(cells: Int32Array, count: number): number {
    return fetch(this.cells4, this.starts4, this.services4, 1, cells, count);
  }

  fetch6(cells: Int32Array, count: number): number {
    return fetch(this.cells6, this.starts6, this.services6, 4, cells, count);
  }

  /**
   * @param address destination, host order
   * @param protocol IP protocol number
   * @param port destination port; -1 where it is not known: then any rule of the protocol matches, the most specific
   *   first, and of equally specific ones that of the trafficset listed first
   * @returns trafficset index, {@link NOT_VIP} or {@link NO_SERVICE}
   */
  match4(address: number, protocol: number, port: number): number {
    // All in int32 and uint32. An address below `low` wraps round to a distance beyond the span.
    const distance = ((address | 0) - this.low4) >>> 0;
    if (distance > this.span4 >>> 0) return MISS;
    const unsigned = address >>> 0;
    const cell = distance >>> this.shift4;
    let low = this.cells4[cell];
    let high = this.cells4[cell + 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts4[middle] <= unsigned) low = middle;
      else high = middle - 1;
    }
    return this.pick(this.services4[low], protocol, port);
  }

  /**
   * The same for IPv6.
   * @param data holds the destination address, network order; @param offset where
   */
  match6(data: DataView, offset: number, protocol: number, port: number): number {
    const word0 = data.getUint32(offset);
    const word1 = data.getUint32(offset + 4);
    const word2 = data.getUint32(offset + 8);
    const offStem =
      ((word0 & this.stemMask0) ^ this.stem0) |
      ((word1 & this.stemMask1) ^ this.stem1) |
      ((word2 & this.stemMask2) ^ this.stem2);
    if (offStem !== 0) return MISS;
    const word3 = data.getUint32(offset + 12);
    const distance = this.distance6(word0, word1, word2, word3);
    if (distance > this.span6 >>> 0) return MISS;
    const cell = distance >>> this.shift6;
    let low = this.cells6[cell];
    let high = this.cells6[cell + 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.startsBy6(middle, word0, word1, word2, word3)) low = middle;
      else high = middle - 1;
    }
    return this.pick(this.services6[low], protocol, port);
  }

  /** How far the address is behind the lowest VIP: the 32 bits behind the stem tell. */
  private distance6(word0: number, word1: number, word2: number, word3: number): number {
    const shift = this.stemLength & 31;
    let window = word3;
    let next = 0;
    if (this.stemLength < 32) {
      window = word0;
      next = word1;
    } else if (this.stemLength < 64) {
      window = word1;
      next = word2;
    } else if (this.stemLength < 96) {
      window = word2;
      next = word3;
    }
    // Two shifts, as a shift by 32 would be one by 0.
    return (((window << shift) | ((next >>> 1) >>> (31 - shift))) - this.low6) >>> 0;
  }

  /** Whether IPv6 interval `interval` starts at or before the address. */
  private startsBy6(interval: number, word0: number, word1: number, word2: number, word3: number): boolean {
    const starts = this.starts6;
    const at = 4 * interval;
    if (starts[at] !== word0) return starts[at] < word0;
    if (starts[at + 1] !== word1) return starts[at + 1] < word1;
    if (starts[at + 2] !== word2) return starts[at + 2] < word2;
    return starts[at + 3] <= word3;
  }

  private pick(service: number, protocol: number, port: number): number {
    if (service === 0) return MISS;
    let column = 3 * service;
    if (protocol === UDP) column++;
    else if (protocol === ESP) column += 2;
    else if (protocol !== TCP) return NOTHING;
    if (port < 0) return this.anyPort[column];
    let low = this.firstSegment[column];
    let high = this.firstSegment[column + 1] - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.segmentStart[middle] <= port) low = middle;
      else high = middle - 1;
    }
    return this.segmentTrafficset[low];
  }
}

/** One short loop for each table: the fewer instructions between two reads, the more of them are under way. */
function fetch(
  table: Int32Array,
  starts: Uint32Array,
  services: Int32Array,
  wordsPerStart: number,
  cells: Int32Array,
  count: number,
): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum ^= table[cells[i]];
  for (let i = 0; i < count; i++) {
    // Mostly a cell has an interval or two: the search looks at the one in the middle first.
    cells[i] = (table[cells[i]] + table[cells[i] + 1] + 1) >>> 1;
  }
  for (let i = 0; i < count; i++) sum ^= starts[wordsPerStart * cells[i]];
  for (let i = 0; i < count; i++) sum ^= services[cells[i]];
  return sum | 0;
}
