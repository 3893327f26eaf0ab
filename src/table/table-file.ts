import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { TableError } from './errors.js';
import type { ForwardingTable } from './forwarding-table.js';
import { decodeSnapshot, encodeSnapshot } from './snapshot.js';
import { decodeTableJson, encodeTableJson } from './table-json.js';

/**
 * Forwarding tables as files. Whoever follows a file sees the old table or the new one, never a part of one.
 */

export type TableFileForm = 'binary' | 'json';

/**
 * Reads either form; the content tells which.
 * @throws TableError only, with the path in front of the message; `unreadable` when the file cannot be read at all
 */
export function readTableFile(path: string): ForwardingTable {
  const bytes = readBytes(path);
  try {
    return isJson(bytes) ? decodeTableJson(bytes.toString('utf8')) : decodeSnapshot(bytes);
  } catch (error) {
    if (error instanceof TableError)
      throw new TableError(error.code, `${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * Replaces the file at once: writes a temporary file beside it, forces it to disk, renames it. The hash key is a
 * secret, so a new file is for its owner alone; the mode of an existing file is kept.
 * @throws TableError `unwritable`, or what {@link encodeSnapshot} refuses; the old file is untouched then
 */
export function writeTableFile(path: string, table: ForwardingTable, form: TableFileForm = 'binary'): void {
  replaceFile(path, form === 'json' ? encodeTableJson(table) : encodeSnapshot(table));
}

/** What {@link writeTableFile} does, for tables of another kind. @throws TableError `unwritable` */
export function replaceFile(path: string, content: Uint8Array | string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const mode = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600) & 0o777;
    writeDurably(temporary, content, mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new TableError('unwritable', `${path}: cannot be written (${reasonOf(error)})`, { cause: error });
  }
  syncDirectory(dirname(path));
}

/** The bytes of a table's file. @throws TableError `unreadable` */
export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TableError('unreadable', `${path}: cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

/** A snapshot begins with a byte that no text has; JSON with a brace, perhaps behind white space. */
export function isJson(bytes: Buffer): boolean {
  return /^\s*\{/.test(bytes.subarray(0, 64).toString('latin1'));
}

function writeDurably(path: string, content: Uint8Array | string, mode: number): void {
  const file = openSync(path, 'wx', mode);
  try {
    // The mode given to open is subject to the umask.
    fchmodSync(file, mode);
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the rename itself survive a crash, where the file system can: the new file is in place in any case. */
function syncDirectory(path: string): void {
  let directory: number | undefined;
  try {
    directory = openSync(path, 'r');
    fsyncSync(directory);
  } catch {
    // Some network file systems do not sync directories.
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

/** `ENOENT: no such file or directory`; the system call and the path behind it say nothing new. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.split(', ')[0] : String(error);
}
