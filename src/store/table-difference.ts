import { createHash } from 'node:crypto';
import { StoreError } from './store.js';

/**
 * What changed from one version of a table to the next, as bytes: a few per changed bucket. Fixed fields are in network
 * order, numbers of varying length are LEB128.
 *
 * ```text
 * offset  size  field
 *      0     8  magic 89 54 48 46 44 0d 0a 1a ("\x89THFD\r\n\x1a")
 *      8     4  format version, 1
 *     12     4  number of buckets of the table
 *     16     8  table version that it leads from
 *     24     8  table version that it leads to
 *     32     4  time of the change, Unix seconds
 *     36     4  number of DIPs, d
 *     40     4  number of changed buckets, n
 *     44     4  number of other ages, m
 *     48    4d  DIPs, those that are used most first
 *            n  x (LEB128: buckets since the one before; first hop; second hop)
 *            m  x (LEB128: buckets since the one before; Unix seconds): ages other than the time of the change in
 *               changed buckets, and other than before in the rest
 *           32  SHA-256 of all bytes before it
 * ```
 *
 * A hop is 0: what the bucket's other slot was before (so a swap is two zeros, and a handover one); 1: none; 2 + i: DIP
 * number i.
 */

export const DIFFERENCE_FORMAT = 1;

const MAGIC = Uint8Array.of(0x89, 0x54, 0x48, 0x46, 0x44, 0x0d, 0x0a, 0x1a);
const HEADER_SIZE = 48;
const CHECKSUM_SIZE = 32;
const OTHER_SLOT = 0;
const NONE = 1;
const FIRST_DIP = 2;

/** Rows as in `ForwardingTable.slots`, and the Unix time in seconds at which each bucket was changed last. */
export interface AgedRows {
  readonly version: number;
  readonly slots: Uint32Array;
  readonly changedAt: Uint32Array;
}

export interface Difference {
  readonly from: number;
  readonly to: number;
  readonly bucketCount: number;
  /** Numbers of the changed buckets, ascending. */
  readonly buckets: Uint32Array;
  /** Writes the new rows of the changed buckets over the old ones, and ages likewise where they are given. */
  apply(slots: Uint32Array, changedAt: Uint32Array | null): void;
}

/** @throws RangeError when the two have not as many buckets: a defect of the caller */
export function encodeDifference(before: AgedRows, after: AgedRows): Uint8Array {
  if (before.slots.length !== after.slots.length) throw new RangeError('a difference between unlike tables');
  const changed = changedBuckets(before.slots, after.slots);
  const time = commonest(changed, after.changedAt);
  const ages = otherAges(before, after, changed, time);
  const dips = dictionary(before.slots, after.slots, changed);
  const codes = new Map([...dips].map((dip, at) => [dip, FIRST_DIP + at]));
  // At most five bytes for each number.
  const bytes = new Uint8Array(
    HEADER_SIZE + 4 * dips.length + 15 * changed.length + 10 * ages.length + CHECKSUM_SIZE,
  );
  const data = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  data.setUint32(8, DIFFERENCE_FORMAT);
  data.setUint32(12, before.slots.length / 2);
  data.setBigUint64(16, BigInt(before.version));
  data.setBigUint64(24, BigInt(after.version));
  data.setUint32(32, time);
  data.setUint32(36, dips.length);
  data.setUint32(40, changed.length);
  data.setUint32(44, ages.length);
  for (const [at, dip] of dips.entries()) data.setUint32(HEADER_SIZE + 4 * at, dip);
  const writer = new VaryingWriter(bytes, HEADER_SIZE + 4 * dips.length);
  let last = 0;
  for (const bucket of changed) {
    writer.write(bucket - last);
    last = bucket;
    for (const slot of [2 * bucket, 2 * bucket + 1]) {
      const hop = after.slots[slot];
      if (hop === before.slots[slot ^ 1] && hop !== 0) writer.write(OTHER_SLOT);
      else writer.write(hop === 0 ? NONE : (codes.get(hop) ?? NONE));
    }
  }
  last = 0;
  for (const bucket of ages) {
    writer.write(bucket - last);
    last = bucket;
    writer.write(after.changedAt[bucket]);
  }
  const end = writer.offset;
  bytes.set(checksum(bytes.subarray(0, end)), end);
  return bytes.subarray(0, end + CHECKSUM_SIZE);
}

/**
 * @param what name of these bytes for people: their key
 * @throws StoreError `damaged`, and nothing else, on what {@link encodeDifference} did not write
 */
export function decodeDifference(bytes: Uint8Array, what: string): Difference {
  const damaged = (why: string) => new StoreError('damaged', `${what}: ${why}`);
  const end = bytes.length - CHECKSUM_SIZE;
  if (end < HEADER_SIZE) throw damaged(`truncated at ${bytes.length} bytes`);
  if (!MAGIC.every((byte, at) => byte === bytes[at])) throw damaged('no difference of tables');
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const format = data.getUint32(8);
  if (format !== DIFFERENCE_FORMAT) {
    throw damaged(`has format version ${format}, this release reads version ${DIFFERENCE_FORMAT}`);
  }
  if (!checksum(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw damaged('the checksum does not match');
  }
  const bucketCount = data.getUint32(12);
  const dips = new Uint32Array(data.getUint32(36));
  if (HEADER_SIZE + 4 * dips.length > end) throw damaged('more DIPs than bytes');
  for (let at = 0; at < dips.length; at++) dips[at] = data.getUint32(HEADER_SIZE + 4 * at);
  const reader = new VaryingReader(bytes, HEADER_SIZE + 4 * dips.length, end, damaged);
  const rows = readRows(reader, data.getUint32(40), bucketCount, FIRST_DIP + dips.length, damaged);
  const ages = readAges(reader, data.getUint32(44), bucketCount, damaged);
  if (reader.offset !== end) throw damaged('has bytes behind its end');
  const time = data.getUint32(32);
  return {
    from: Number(data.getBigUint64(16)),
    to: Number(data.getBigUint64(24)),
    bucketCount,
    buckets: rows.buckets,
    apply(slots, changedAt) {
      applyRows(rows, dips, slots);
      if (changedAt === null) return;
      for (const bucket of rows.buckets) changedAt[bucket] = time;
      for (const [at, bucket] of ages.buckets.entries()) changedAt[bucket] = ages.times[at];
    },
  };
}

interface Rows {
  readonly buckets: Uint32Array;
  /** First and second hop of each, as they are written. */
  readonly codes: Uint32Array;
}

function applyRows({ buckets, codes }: Rows, dips: Uint32Array, slots: Uint32Array): void {
  for (let at = 0; at < buckets.length; at++) {
    const slot = 2 * buckets[at];
    const [first, second] = [slots[slot], slots[slot + 1]];
    slots[slot] = hopOf(codes[2 * at], second, dips);
    slots[slot + 1] = hopOf(codes[2 * at + 1], first, dips);
  }
}

function hopOf(code: number, otherSlot: number, dips: Uint32Array): number {
  if (code === OTHER_SLOT) return otherSlot;
  return code === NONE ? 0 : dips[code - FIRST_DIP];
}

type Complaint = (why: string) => StoreError;

function readRows(
  reader: VaryingReader,
  count: number,
  bucketCount: number,
  codes: number,
  damaged: Complaint,
): Rows {
  if (count > bucketCount) throw damaged(`changes ${count} buckets of ${bucketCount}`);
  const rows = { buckets: new Uint32Array(count), codes: new Uint32Array(2 * count) };
  let bucket = 0;
  for (let at = 0; at < count; at++) {
    bucket += reader.read();
    if (bucket >= bucketCount) throw damaged(`names bucket ${bucket} of ${bucketCount}`);
    rows.buckets[at] = bucket;
    for (const slot of [2 * at, 2 * at + 1]) {
      rows.codes[slot] = reader.read();
      if (rows.codes[slot] >= codes) throw damaged(`names a DIP that it does not list`);
    }
  }
  return rows;
}

function readAges(reader: VaryingReader, count: number, bucketCount: number, damaged: Complaint) {
  if (count > bucketCount) throw damaged(`gives ${count} ages of ${bucketCount}`);
  const ages = { buckets: new Uint32Array(count), times: new Uint32Array(count) };
  let bucket = 0;
  for (let at = 0; at < count; at++) {
    bucket += reader.read();
    if (bucket >= bucketCount) throw damaged(`names bucket ${bucket} of ${bucketCount}`);
    ages.buckets[at] = bucket;
    ages.times[at] = reader.read();
  }
  return ages;
}

function changedBuckets(before: Uint32Array, after: Uint32Array): Uint32Array {
  const changed: number[] = [];
  for (let slot = 0; slot < before.length; slot += 2) {
    if (before[slot] !== after[slot] || before[slot + 1] !== after[slot + 1]) changed.push(slot / 2);
  }
  return Uint32Array.from(changed);
}

/** The time that most changed buckets have. */
function commonest(changed: Uint32Array, changedAt: Uint32Array): number {
  const counts = new Map<number, number>();
  for (const bucket of changed) counts.set(changedAt[bucket], (counts.get(changedAt[bucket]) ?? 0) + 1);
  let best = 0;
  for (const [time, count] of counts) if (count > (counts.get(best) ?? 0)) best = time;
  return best;
}

function otherAges(before: AgedRows, after: AgedRows, changed: Uint32Array, time: number): number[] {
  const expected = Uint32Array.from(before.changedAt);
  for (const bucket of changed) expected[bucket] = time;
  const other: number[] = [];
  for (let bucket = 0; bucket < expected.length; bucket++) {
    if (after.changedAt[bucket] !== expected[bucket]) other.push(bucket);
  }
  return other;
}

/** DIPs that have to be named, those that are used most first: they get the short numbers. */
function dictionary(before: Uint32Array, after: Uint32Array, changed: Uint32Array): number[] {
  const uses = new Map<number, number>();
  for (const bucket of changed) {
    for (const slot of [2 * bucket, 2 * bucket + 1]) {
      const hop = after[slot];
      if (hop !== 0 && hop !== before[slot ^ 1]) uses.set(hop, (uses.get(hop) ?? 0) + 1);
    }
  }
  return [...uses].sort(([dipA, a], [dipB, b]) => b - a || dipA - dipB).map(([dip]) => dip);
}

/** Numbers below 2^32 in LEB128. */
class VaryingWriter {
  constructor(
    private readonly bytes: Uint8Array,
    public offset: number,
  ) {}

  write(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.offset++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.offset++] = rest;
  }
}

class VaryingReader {
  constructor(
    private readonly bytes: Uint8Array,
    public offset: number,
    private readonly end: number,
    private readonly damaged: Complaint,
  ) {}

  read(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      if (this.offset >= this.end) throw this.damaged('ends in the middle of a number');
      const byte = this.bytes[this.offset++];
      value += (byte & 0x7f) * scale;
      if (byte <= 0x7f) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw this.damaged('has a number of more than 32 bits');
  }
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
