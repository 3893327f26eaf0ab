import { leadingBits } from './address.js';
import type { TrafficsetConfig } from './trafficset.js';
import { cutIntoIntervals, type Intervals, type ListedPrefix } from './vip-intervals.js';
import { type Service, ServiceRegistry } from './vip-services.js';

/**
 * Packs intervals and services into the typed arrays that `VipMatcher` searches, all in shared memory.
 *
 * A cell table leads to the interval of an address: the addresses between the lowest and the highest VIP are cut into
 * equal cells, about as many as there are intervals, and each cell knows the intervals that it can be in. IPv6
 * addresses are first stripped of the stem that all VIPs have in common; the 32 bits behind it take the part that the
 * address has in IPv4.
 */

interface SharedFamily {
  /** First address of each interval, ascending, one word (IPv4) or four (IPv6) each. */
  readonly starts: Uint32Array;
  /** Service of each interval, 0 = no VIP. */
  readonly services: Int32Array;
  /** `cells[c] .. cells[c + 1]` are the intervals that addresses of cell `c` can be in. */
  readonly cells: Int32Array;
  /**
   * 32-bit window of the lowest VIP address; of an IPv6 address, the bits behind the stem. As int32, like `span`: V8
   * keeps those as small integers.
   */
  readonly low: number;
  /** Window of the highest VIP address minus `low`, as int32. */
  readonly span: number;
  /** Cell = (window - low) >>> shift. */
  readonly shift: number;
}

/** The bits that all IPv6 VIPs begin with. */
interface Stem {
  /** 0 to {@link MAX_STEM}: a window of 32 bits is always left. */
  readonly length: number;
  /** The first three words as int32, zero behind the stem. */
  readonly words: readonly [number, number, number];
  readonly masks: readonly [number, number, number];
}

const MAX_STEM = 96;

/** Services: column `3 * service` is TCP, the next one UDP, the one after that ESP. */
interface SharedServices {
  /** First segment of each column; one entry more than there are columns. */
  readonly firstSegment: Int32Array;
  /** First port of each segment. */
  readonly segmentStart: Uint16Array;
  /** Trafficset or `NO_SERVICE`. */
  readonly segmentTrafficset: Int32Array;
  /** By column: the answer where the port is unknown. */
  readonly anyPort: Int32Array;
}

/** A matcher as a plain object that `postMessage` can carry; the arrays stay where they are. */
export interface SharedVips {
  readonly ipv4: SharedFamily;
  readonly ipv6: SharedFamily & { readonly stem: Stem };
  readonly services: SharedServices;
}

/** @throws TableError `rule-conflict` */
export function compileVips(trafficsets: readonly TrafficsetConfig[]): SharedVips {
  const listed4: ListedPrefix[] = [];
  const listed6: ListedPrefix[] = [];
  for (const [trafficset, { vips }] of trafficsets.entries()) {
    for (const prefix of vips) (prefix.version === 4 ? listed4 : listed6).push({ prefix, trafficset });
  }
  const registry = new ServiceRegistry(trafficsets);
  const stem = commonStem(listed6);
  return {
    ipv4: packFamily(cutIntoIntervals(listed4, 1, registry), NO_STEM),
    ipv6: { ...packFamily(cutIntoIntervals(listed6, 4, registry), stem), stem },
    services: packServices(registry.services),
  };
}

const NO_STEM: Stem = { length: 0, words: [0, 0, 0], masks: [0, 0, 0] };

function commonStem(listed: readonly ListedPrefix[]): Stem {
  if (listed.length === 0) return NO_STEM;
  const first = listed[0].prefix.words;
  let length = MAX_STEM;
  for (const { prefix } of listed) {
    length = Math.min(length, prefix.length);
    const word = prefix.words.findIndex((value, at) => value !== first[at]);
    if (word >= 0) length = Math.min(length, 32 * word + Math.clz32(prefix.words[word] ^ first[word]));
  }
  const masks = [leadingBits(length), leadingBits(length - 32), leadingBits(length - 64)] as const;
  return { length, words: [first[0] & masks[0], first[1] & masks[1], first[2] & masks[2]], masks };
}

function packFamily(intervals: Intervals, stem: Stem): SharedFamily {
  const { count, services } = intervals;
  const starts = new Uint32Array(new SharedArrayBuffer(intervals.starts.byteLength));
  starts.set(intervals.starts);
  const family = { starts, services: shareInts(services) };
  const last = count - 1;
  // No VIPs: one cell for address 0, which leads to the one interval and so to "no VIP".
  if (last === 0 && services[0] === 0)
    return { ...family, cells: shareInts([0, 0]), low: 0, span: 0, shift: 0 };
  const positions = new Float64Array(count);
  for (let interval = 0; interval < count; interval++) {
    positions[interval] = positionOf(intervals, interval, stem);
  }
  const low = services[0] === 0 ? Math.floor(positions[1]) : 0;
  const high = services[last] === 0 ? Math.min(Math.ceil(positions[last]) - 1, 0xffff_ffff) : 0xffff_ffff;
  const span = high - low;
  let shift = 0;
  while (shift < 31 && Math.floor(span / 2 ** shift) >= count) shift++;
  const cells = new Int32Array(new SharedArrayBuffer(4 * (Math.floor(span / 2 ** shift) + 2)));
  let interval = 0;
  for (let cell = 0; cell < cells.length; cell++) {
    const firstOfCell = low + cell * 2 ** shift;
    while (interval < last && positions[interval + 1] <= firstOfCell) interval++;
    cells[cell] = interval;
  }
  return { ...family, cells, low: low | 0, span: span | 0, shift };
}

/**
 * Where an interval starts, on the axis of windows: between two windows when bits behind its window are set. Only the
 * gaps before and after all VIPs can start off the stem.
 */
function positionOf({ starts, wordCount }: Intervals, interval: number, stem: Stem): number {
  if (wordCount === 1) return starts[interval];
  const first = 4 * interval;
  const end = first + 4;
  for (let word = 0; word < 3; word++) {
    if ((starts[first + word] & stem.masks[word]) === stem.words[word]) continue;
    return interval === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const at = first + (stem.length >>> 5);
  const bits = stem.length & 31;
  const next = at + 1 < end ? starts[at + 1] : 0;
  const window = ((starts[at] << bits) | ((next >>> 1) >>> (31 - bits))) >>> 0;
  let behind = next << bits;
  for (let word = at + 2; word < end; word++) behind |= starts[word];
  return behind === 0 ? window : window + 0.5;
}

function packServices(services: readonly Service[]): SharedServices {
  const columns = services.flat();
  const firstSegment = [0];
  for (const { starts } of columns) firstSegment.push(firstSegment[firstSegment.length - 1] + starts.length);
  const segmentStart = new Uint16Array(new SharedArrayBuffer(2 * firstSegment[columns.length]));
  segmentStart.set(columns.flatMap(({ starts }) => starts));
  return {
    firstSegment: shareInts(firstSegment),
    segmentStart,
    segmentTrafficset: shareInts(columns.flatMap(({ trafficsets }) => trafficsets)),
    anyPort: shareInts(columns.map(({ anyPort }) => anyPort)),
  };
}

function shareInts(values: ArrayLike<number>): Int32Array {
  const shared = new Int32Array(new SharedArrayBuffer(4 * values.length));
  shared.set(values);
  return shared;
}
