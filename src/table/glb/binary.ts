import { TableError } from '../errors.js';
import {
  GLB_MAX_BACKENDS,
  GLB_MAX_BINDS,
  GLB_ROWS,
  type GlbAddress,
  type GlbBackend,
  type GlbBind,
  type GlbState,
  type GlbTable,
  isGlbProtocol,
} from './glb-table.js';

/**
 * The file that GLB's director loads: all its tables, every slot of every table present, used or not. Numbers are
 * little-endian, as the machines it runs on write them; addresses are in network order.
 *
 * ```text
 * offset    size  field
 *      0       4  magic "GLBD"
 *      4       4  format version, 2
 *      8       4  number of tables
 *     12      12  rows per table, backends and binds per table: 65,536, 256, 256
 *     24       n  the tables
 *
 * table:    size  field
 *      0       4  number of backends
 *      4  24x256  backends: family (4; 1 IPv4, 2 IPv6), address (16; IPv4 in the first 4), state (2; 0 filling,
 *                 1 active, 2 draining or inactive), health (2; 0 down, 1 up)
 *   6148       4  number of binds
 *   6152  28x256  binds: family (4), address (16), prefix length (2), first and last port (2 each), protocol (1), 0 (1)
 *  13320      16  hash key
 *  13336   8x2^16 rows: primary (4), secondary (4), as numbers of backends
 * ```
 *
 * Source: github/glb-director, `glb_fwd_config.h` and `src/glb-director-cli`.
 */

export const GLB_FORMAT_VERSION = 2;

const MAGIC = Uint8Array.of(0x47, 0x4c, 0x42, 0x44);
const HEADER = 24;
const BACKEND = 24;
const BIND = 28;
const ADDRESS = 16;
const KEY = 16;

const at = {
  backends: 4,
  bindCount: 4 + BACKEND * GLB_MAX_BACKENDS,
  binds: 8 + BACKEND * GLB_MAX_BACKENDS,
  hashKey: 8 + BACKEND * GLB_MAX_BACKENDS + BIND * GLB_MAX_BINDS,
  rows: 8 + BACKEND * GLB_MAX_BACKENDS + BIND * GLB_MAX_BINDS + KEY,
} as const;

export const GLB_TABLE_SIZE = at.rows + 8 * GLB_ROWS;

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** By code. What is inactive is written as draining. */
const STATES: readonly GlbState[] = ['filling', 'active', 'draining'];

export function looksLikeGlbBinary(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && MAGIC.every((byte, index) => byte === bytes[index]);
}

/** @param tables with at most 256 backends and binds each, as the readers of either form guarantee */
export function encodeGlbBinary(tables: readonly GlbTable[]): Uint8Array {
  const bytes = new Uint8Array(HEADER + tables.length * GLB_TABLE_SIZE);
  const data = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  const header = [GLB_FORMAT_VERSION, tables.length, GLB_ROWS, GLB_MAX_BACKENDS, GLB_MAX_BINDS];
  for (const [index, value] of header.entries()) data.setUint32(4 + 4 * index, value, true);
  for (const [index, table] of tables.entries()) {
    const start = HEADER + index * GLB_TABLE_SIZE;
    encodeTable(new DataView(bytes.buffer, start, GLB_TABLE_SIZE), bytes.subarray(start), table);
  }
  return bytes;
}

function encodeTable(data: DataView, bytes: Uint8Array, { backends, binds, hashKey, rows }: GlbTable): void {
  data.setUint32(0, backends.length, true);
  for (const [index, { address, state, healthy }] of backends.entries()) {
    const start = at.backends + index * BACKEND;
    encodeAddress(data, bytes, start, address);
    data.setUint16(start + 20, STATES.indexOf(state === 'inactive' ? 'draining' : state), true);
    data.setUint16(start + 22, healthy ? 1 : 0, true);
  }
  data.setUint32(at.bindCount, binds.length, true);
  for (const [index, bind] of binds.entries()) {
    const start = at.binds + index * BIND;
    encodeAddress(data, bytes, start, bind.address);
    data.setUint16(start + 20, bind.prefixLength, true);
    data.setUint16(start + 22, bind.firstPort, true);
    data.setUint16(start + 24, bind.lastPort, true);
    data.setUint8(start + 26, bind.protocol);
  }
  bytes.set(hashKey, at.hashKey);
  for (let slot = 0; slot < rows.length; slot++) data.setUint32(at.rows + 4 * slot, rows[slot], true);
}

function encodeAddress(data: DataView, bytes: Uint8Array, start: number, address: GlbAddress): void {
  data.setUint32(start, address.version === 4 ? FAMILY_IPV4 : FAMILY_IPV6, true);
  bytes.set(address.bytes, start + 4);
}

/** @throws TableError, and nothing else, on what GLB's director would refuse, and on rows that name no backend */
export function decodeGlbBinary(bytes: Uint8Array): GlbTable[] {
  const count = checkFrame(bytes);
  const tables: GlbTable[] = [];
  for (let index = 0; index < count; index++) {
    const start = HEADER + index * GLB_TABLE_SIZE;
    tables.push(decodeTable(bytes.subarray(start, start + GLB_TABLE_SIZE), `table ${index}`));
  }
  return tables;
}

/** @returns the number of tables */
function checkFrame(bytes: Uint8Array): number {
  if (!looksLikeGlbBinary(bytes)) {
    throw new TableError('bad-magic', 'it is no table of GLB: it does not begin with "GLBD"');
  }
  if (bytes.length < HEADER) refuseLength(bytes.length, HEADER);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = data.getUint32(4, true);
  if (version !== GLB_FORMAT_VERSION) {
    throw new TableError(
      version < GLB_FORMAT_VERSION ? 'older-format' : 'newer-format',
      `the GLB table has format version ${version}, and this release reads ${GLB_FORMAT_VERSION}`,
    );
  }
  const limits = [
    ['rows', GLB_ROWS],
    ['backends', GLB_MAX_BACKENDS],
    ['binds', GLB_MAX_BINDS],
  ] as const;
  for (const [index, [what, expected]] of limits.entries()) {
    const found = data.getUint32(12 + 4 * index, true);
    if (found === expected) continue;
    throw new TableError(
      'bad-glb-table',
      `its header says ${found} ${what} per table, and GLB has ${expected}: make it again`,
    );
  }
  const count = data.getUint32(8, true);
  const expected = HEADER + count * GLB_TABLE_SIZE;
  if (bytes.length < expected) refuseLength(bytes.length, expected);
  if (bytes.length > expected) {
    throw new TableError(
      'trailing-bytes',
      `${bytes.length - expected} bytes follow the end of the last of ${count} tables: copy or make it again`,
    );
  }
  return count;
}

function refuseLength(length: number, needed: number): never {
  throw new TableError(
    'truncated',
    `the GLB table ends after ${length} bytes, and ${needed} are needed: copy or make it again`,
  );
}

/** @param bytes exactly one table; @param where for messages */
function decodeTable(bytes: Uint8Array, where: string): GlbTable {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const backendCount = readCount(data, 0, GLB_MAX_BACKENDS, `${where}: backends`);
  const backends: GlbBackend[] = [];
  for (let index = 0; index < backendCount; index++) {
    const start = at.backends + index * BACKEND;
    const place = `${where}: backend ${index}`;
    const state = STATES[data.getUint16(start + 20, true)];
    const health = data.getUint16(start + 22, true);
    if (state === undefined) refuse(`${place}: state ${data.getUint16(start + 20, true)}, expected 0 to 2`);
    if (health > 1) refuse(`${place}: health ${health}, expected 0 or 1`);
    backends.push({ address: decodeAddress(bytes, start, place), state, healthy: health === 1 });
  }
  const bindCount = readCount(data, at.bindCount, GLB_MAX_BINDS, `${where}: binds`);
  const binds: GlbBind[] = [];
  for (let index = 0; index < bindCount; index++) {
    const start = at.binds + index * BIND;
    const place = `${where}: bind ${index}`;
    const address = decodeAddress(bytes, start, place);
    const prefixLength = data.getUint16(start + 20, true);
    const protocol = data.getUint8(start + 26);
    if (prefixLength > 8 * address.bytes.length) {
      refuse(`${place}: prefix length ${prefixLength}, expected at most ${8 * address.bytes.length}`);
    }
    if (!isGlbProtocol(protocol)) refuse(`${place}: protocol ${protocol}, expected 1, 6 or 17`);
    const firstPort = data.getUint16(start + 22, true);
    binds.push({ address, prefixLength, protocol, firstPort, lastPort: data.getUint16(start + 24, true) });
  }
  const rows = new Uint32Array(2 * GLB_ROWS);
  for (let slot = 0; slot < rows.length; slot++) {
    const backend = data.getUint32(at.rows + 4 * slot, true);
    if (backend >= backendCount) {
      refuse(`${where}: row ${slot >>> 1} names backend ${backend}, and there are ${backendCount}`);
    }
    rows[slot] = backend;
  }
  return { hashKey: bytes.slice(at.hashKey, at.hashKey + KEY), backends, binds, rows };
}

function readCount(data: DataView, offset: number, most: number, what: string): number {
  const count = data.getUint32(offset, true);
  if (count > most) refuse(`${what}: ${count}, expected at most ${most}`);
  return count;
}

function decodeAddress(bytes: Uint8Array, start: number, place: string): GlbAddress {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = data.getUint32(start, true);
  if (family === FAMILY_IPV4) return { version: 4, bytes: bytes.slice(start + 4, start + 8) };
  if (family === FAMILY_IPV6) return { version: 6, bytes: bytes.slice(start + 4, start + 4 + ADDRESS) };
  return refuse(`${place}: address family ${family}, expected 1 (IPv4) or 2 (IPv6)`);
}

function refuse(what: string): never {
  throw new TableError('bad-glb-table', `${what}: the table was damaged, copy or make it again`);
}
