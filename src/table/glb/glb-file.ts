import { TableError } from '../errors.js';
import { isJson, readBytes, replaceFile } from '../table-file.js';
import { decodeGlbBinary, encodeGlbBinary, looksLikeGlbBinary } from './binary.js';
import { readGlbJson } from './forwarding-json.js';
import type { GlbTable } from './glb-table.js';
import { buildGlbTable } from './rendezvous.js';

/**
 * Reads GLB's tables from its `forwarding_table.json`, building them, or from its binary form; the content tells which.
 * @throws TableError, ConfigError with the path in front of the message
 */
export function readGlbFile(path: string): GlbTable[] {
  const bytes = readBytes(path);
  if (looksLikeGlbBinary(bytes)) return named(path, () => decodeGlbBinary(bytes));
  if (isJson(bytes)) {
    return readGlbJson(bytes.toString('utf8'), path).map(buildGlbTable);
  }
  throw new TableError(
    'bad-magic',
    `${path}: it is neither GLB's forwarding_table.json nor the binary table that GLB makes of it`,
  );
}

/** GLB's tables where the file is their binary form, null where it is something else. @throws TableError */
export function readGlbBinaryFile(path: string): GlbTable[] | null {
  const bytes = readBytes(path);
  return looksLikeGlbBinary(bytes) ? named(path, () => decodeGlbBinary(bytes)) : null;
}

/** Replaces the file at once, as {@link writeTableFile} does. @throws TableError `unwritable` */
export function writeGlbBinaryFile(path: string, tables: readonly GlbTable[]): void {
  replaceFile(path, encodeGlbBinary(tables));
}

function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TableError)
      throw new TableError(error.code, `${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
