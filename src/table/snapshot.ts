import { createHash } from 'node:crypto';
import { TableError, type TableErrorCode } from './errors.js';
import {
  checkBucketCount,
  ForwardingTable,
  HASH_KEY_LENGTH,
  NAME_PATTERN,
  newSlots,
} from './forwarding-table.js';
import { refuseBadRow } from './rows.js';

/**
 * A forwarding table as bytes. Numbers are in network order, so that DIPs can be read in a hex dump.
 *
 * ```text
 * offset  size  field
 *      0     8  magic 89 54 48 46 54 0d 0a 1a ("\x89THFT\r\n\x1a": broken by anything that treats it as text)
 *      8     2  format version, 2
 *     10     2  length of the name, 1 to 64
 *     12     4  number of buckets, a power of two up to 2^24
 *     16     8  table version, up to 2^53 - 1
 *     24     8  hash key
 *     32    64  name of the trafficset, ASCII [a-z0-9-], filled up with zero bytes
 *     96    8n  rows: first hop (4), second hop (4; zero = none) of each bucket
 *  96+8n    32  SHA-256 of all bytes before it
 * ```
 *
 * There is exactly one encoding of a table, and nothing else is accepted: not a byte more, less or different.
 */

/** Files of lower versions are refused as `older-format`, of higher ones as `newer-format`. */
export const FORMAT_VERSION = 2;

const MAGIC = Uint8Array.of(0x89, 0x54, 0x48, 0x46, 0x54, 0x0d, 0x0a, 0x1a);
const NAME_SIZE = 64;
const CHECKSUM_SIZE = 32;

const field = {
  formatVersion: 8,
  nameLength: 10,
  bucketCount: 12,
  version: 16,
  hashKey: 24,
  name: 32,
  rows: 96,
} as const;

/** @throws TableError `empty-first-hop`, `same-slots`: what no node would accept is not written either */
export function encodeSnapshot(table: ForwardingTable): Uint8Array {
  refuseBadRow(table.slots, 'the table cannot be written');
  const length = field.rows + 4 * table.slots.length + CHECKSUM_SIZE;
  const bytes = new Uint8Array(length);
  const data = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  data.setUint16(field.formatVersion, FORMAT_VERSION);
  data.setUint16(field.nameLength, table.trafficset.length);
  data.setUint32(field.bucketCount, table.bucketCount);
  data.setBigUint64(field.version, BigInt(table.version));
  bytes.set(table.hashKey, field.hashKey);
  bytes.set(Buffer.from(table.trafficset, 'ascii'), field.name);
  for (let slot = 0; slot < table.slots.length; slot++) {
    data.setUint32(field.rows + 4 * slot, table.slots[slot]);
  }
  bytes.set(checksum(bytes.subarray(0, length - CHECKSUM_SIZE)), length - CHECKSUM_SIZE);
  return bytes;
}

/** @throws TableError, and nothing else, on everything that {@link encodeSnapshot} did not write */
export function decodeSnapshot(bytes: Uint8Array): ForwardingTable {
  checkFrame(bytes);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - CHECKSUM_SIZE;
  if (!checksum(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw new TableError(
      'checksum',
      'the checksum does not match: the table was damaged, copy or make it again',
    );
  }
  const slots = newSlots(data.getUint32(field.bucketCount));
  for (let slot = 0; slot < slots.length; slot++) slots[slot] = data.getUint32(field.rows + 4 * slot);
  refuseBadRow(slots, 'the table is not usable');
  return new ForwardingTable({
    trafficset: readName(bytes, data.getUint16(field.nameLength)),
    version: Number(data.getBigUint64(field.version)),
    hashKey: bytes.subarray(field.hashKey, field.hashKey + HASH_KEY_LENGTH),
    slots,
  });
}

/** Whether bytes that begin like this are meant to be a snapshot. */
export function looksLikeSnapshot(bytes: Uint8Array): boolean {
  const present = Math.min(bytes.length, MAGIC.length);
  return present > 0 && MAGIC.subarray(0, present).every((byte, at) => byte === bytes[at]);
}

/** Magic, format version, and a length that fits the number of buckets. */
function checkFrame(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new TableError('empty', 'there is nothing in it: make the table again');
  if (!looksLikeSnapshot(bytes)) {
    throw new TableError(
      'bad-magic',
      'it is no forwarding table: give a file that `twohop table make` wrote',
    );
  }
  if (bytes.length < field.formatVersion + 2) refuseLength(bytes.length, field.rows);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const formatVersion = data.getUint16(field.formatVersion);
  if (formatVersion !== FORMAT_VERSION) {
    const [code, advice]: [TableErrorCode, string] =
      formatVersion < FORMAT_VERSION
        ? ['older-format', 'make the table again with this release']
        : ['newer-format', 'use the release that wrote it, or make the table again with this one'];
    throw new TableError(
      code,
      `the table has format version ${formatVersion}, and this release reads ${FORMAT_VERSION}: ${advice}`,
    );
  }
  if (bytes.length < field.rows + CHECKSUM_SIZE) refuseLength(bytes.length, field.rows + CHECKSUM_SIZE);
  const bucketCount = data.getUint32(field.bucketCount);
  checkBucketCount(bucketCount);
  const expected = field.rows + 8 * bucketCount + CHECKSUM_SIZE;
  if (bytes.length < expected) refuseLength(bytes.length, expected);
  if (bytes.length > expected) {
    throw new TableError(
      'trailing-bytes',
      `${bytes.length - expected} bytes follow the end of the table at byte ${expected}: copy or make it again`,
    );
  }
}

function refuseLength(length: number, needed: number): never {
  throw new TableError(
    'truncated',
    `the table ends after ${length} bytes, and at least ${needed} are needed: copy or make it again`,
  );
}

function readName(bytes: Uint8Array, length: number): string {
  const padded = bytes.subarray(field.name, field.name + NAME_SIZE);
  const name = Buffer.from(padded.subarray(0, length)).toString('latin1');
  const filledUp = length <= NAME_SIZE && padded.subarray(length).every((byte) => byte === 0);
  if (filledUp && NAME_PATTERN.test(name)) return name;
  throw new TableError(
    'bad-name',
    `the trafficset name ${JSON.stringify(name)} is not 1 to 64 of a-z, 0-9 and "-", filled up with zero bytes`,
  );
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
