import { createHash, randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { diffTables } from '../table/diff.js';
import { TableError } from '../table/errors.js';
import { type ForwardingTable, HASH_KEY_LENGTH } from '../table/forwarding-table.js';
import { readGlbBinaryFile, readGlbFile, writeGlbBinaryFile } from '../table/glb/glb-file.js';
import { formatGlbAddress, formatGlbBind, GLB_ROWS, type GlbTable } from '../table/glb/glb-table.js';
import { type ForwardingTableOptions, glbToForwardingTable } from '../table/glb/to-forwarding-table.js';
import { writeTableFile } from '../table/table-file.js';
import { ExitCode } from './exit.js';
import { print, usage } from './table-options.js';
import { count, describeDiff, diffToData, fingerprint, grid, summarize } from './table-output.js';

/** `twohop table` for the tables of GitHub's director. */

interface GlbMakeOptions {
  readonly glb: string;
  readonly glbTable?: number;
  readonly trafficset?: string;
  readonly key?: Uint8Array;
  readonly tableVersion: number;
  readonly output: string;
  readonly json?: true;
}

/** Writes GLB's binary, or the rows of one table as a forwarding table. */
export function makeFromGlb(options: GlbMakeOptions, command: Command): void {
  const { glb, trafficset, output } = options;
  if (trafficset !== undefined) {
    const tables = readGlbFile(glb);
    const index = options.glbTable ?? onlyTable(tables, glb);
    const table = convert(tables, index, glb, {
      trafficset,
      version: options.tableVersion,
      hashKey: options.key ?? randomBytes(HASH_KEY_LENGTH),
    });
    writeTableFile(output, table, options.json ? 'json' : 'binary');
    print(`${output}: ${summarize(table)}`);
    return;
  }
  const needless = [
    ['--glb-table', options.glbTable],
    ['--key', options.key],
    ['--json', options.json],
  ].find(([, value]) => value !== undefined);
  if (needless !== undefined) {
    usage(
      command,
      `${needless[0]} belongs to --trafficset: without it, all tables go into GLB's binary as they are`,
    );
  }
  const tables = readGlbFile(glb);
  writeGlbBinaryFile(output, tables);
  print(`${output}: ${summarizeGlb(tables)}`);
}

interface GlbShowOptions {
  readonly rows?: readonly [number, number];
  readonly glbTable?: number;
  readonly json?: true;
}

/** @returns whether the file is GLB's, and was shown */
export function showGlb(file: string, { rows, glbTable, json }: GlbShowOptions): boolean {
  const tables = readGlbBinaryFile(file);
  if (tables === null) return false;
  const shown = glbTable === undefined ? [...tables.keys()] : [glbTable];
  for (const index of shown) checkIndex(tables, index, file);
  if (json) {
    print(JSON.stringify({ tables: shown.map((index) => toData(tables[index])) }));
  } else {
    if (glbTable === undefined) print(summarizeGlb(tables));
    for (const index of shown) {
      print(
        rows === undefined
          ? describeGlb(tables[index], index)
          : describeGlbRows(tables[index], index, ...rows),
      );
    }
  }
  return true;
}

export interface Comparison {
  readonly rows: number;
  readonly json?: true;
}

/** Table by table. @returns whether the files are GLB's, and were compared */
export function diffGlb(oldFile: string, newFile: string, { rows, json }: Comparison): boolean {
  const before = readGlbBinaryFile(oldFile);
  const after = readGlbBinaryFile(newFile);
  if (before === null && after === null) return false;
  if (before === null || after === null) {
    const [glb, other] = before === null ? [newFile, oldFile] : [oldFile, newFile];
    throw new TableError('bad-magic', `${glb} is GLB's binary, and ${other} is not: compare two of a kind`);
  }
  const both = Math.min(before.length, after.length);
  const diffs = Array.from({ length: both }, (_, index) =>
    diffTables(comparable(before, index, oldFile), comparable(after, index, newFile), rows),
  );
  if (json) {
    const counts = { tablesBefore: before.length, tablesAfter: after.length };
    print(JSON.stringify({ ...counts, tables: diffs.map(diffToData) }, null, 2));
  } else {
    if (before.length !== after.length) {
      print(`${count(before.length, 'table')} -> ${after.length}: the first ${both} are compared`);
    }
    for (const [index, diff] of diffs.entries()) print(describeDiff(diff, `table ${index}`));
  }
  if (before.length !== after.length || diffs.some(({ differs }) => differs))
    process.exitCode = ExitCode.Failed;
  return true;
}

/** The key stands for GLB's, of which nothing else is asked than whether it changed. */
function comparable(tables: readonly GlbTable[], index: number, file: string): ForwardingTable {
  const hashKey = createHash('sha256').update(tables[index].hashKey).digest().subarray(0, HASH_KEY_LENGTH);
  return convert(tables, index, file, { trafficset: `table-${index}`, version: 0, hashKey });
}

/** @throws TableError, with file and table in front of the message */
function convert(
  tables: readonly GlbTable[],
  index: number,
  file: string,
  options: ForwardingTableOptions,
): ForwardingTable {
  checkIndex(tables, index, file);
  try {
    return glbToForwardingTable(tables[index], options);
  } catch (error) {
    if (!(error instanceof TableError) || error.code === 'bad-name') throw error;
    throw new TableError(error.code, `${file}: table ${index}: ${error.message}`, { cause: error });
  }
}

function onlyTable(tables: readonly GlbTable[], file: string): number {
  if (tables.length <= 1) return 0;
  throw new TableError(
    'bad-glb-table',
    `${file}: it has ${tables.length} tables: say which one is wanted with --glb-table 0 to ${tables.length - 1}`,
  );
}

function checkIndex(tables: readonly GlbTable[], index: number, file: string): void {
  if (index < tables.length) return;
  const known = tables.length === 0 ? 'it has none' : `the last is ${tables.length - 1}`;
  throw new TableError('bad-glb-table', `${file}: there is no table ${index}: ${known}`);
}

/** `GLB, 2 tables with 3 and 4 backends` */
function summarizeGlb(tables: readonly GlbTable[]): string {
  if (tables.length === 0) return 'GLB, 0 tables';
  const backends = tables.map((table) => table.backends.length);
  return `GLB, ${count(tables.length, 'table')} with ${backends.join(' and ')} backends`;
}

function describeGlb(table: GlbTable, index: number): string {
  const { backends, binds, hashKey } = table;
  const share = (rows: number) => `${((100 * rows) / GLB_ROWS).toFixed(2)}%`;
  const counts = countRows(table);
  const rows = backends.map(({ address, state, healthy }, backend) => {
    const { primary, secondary } = counts[backend];
    const health = healthy ? 'up' : 'down';
    return [formatGlbAddress(address), state, health, primary, share(primary), secondary, share(secondary)];
  });
  return [
    `table ${index}: ${GLB_ROWS} rows, ${count(backends.length, 'backend')}, hash key fingerprint ${fingerprint(hashKey)}`,
    `for ${binds.length === 0 ? 'nothing' : binds.map(formatGlbBind).join(', ')}`,
    grid(['backend', 'state', 'health', 'primary of', '', 'secondary of', ''], rows),
  ].join('\n');
}

/** In how many rows each backend stands. */
function countRows({ backends, rows }: GlbTable): { readonly primary: number; readonly secondary: number }[] {
  const counts = backends.map(() => ({ primary: 0, secondary: 0 }));
  for (let row = 0; row < GLB_ROWS; row++) {
    counts[rows[2 * row]].primary++;
    counts[rows[2 * row + 1]].secondary++;
  }
  return counts;
}

function describeGlbRows(table: GlbTable, index: number, first: number, last: number): string {
  const cells: (string | number)[][] = [];
  for (let row = first; row <= Math.min(last, GLB_ROWS - 1); row++) cells.push([row, ...rowOf(table, row)]);
  if (cells.length === 0) return `there is no row ${first}: the last is ${GLB_ROWS - 1}`;
  return `table ${index}\n${grid(['row', 'primary', 'secondary'], cells)}`;
}

function rowOf({ backends, rows }: GlbTable, row: number): [string, string] {
  const address = (slot: number): string => formatGlbAddress(backends[rows[slot]].address);
  return [address(2 * row), address(2 * row + 1)];
}

/** All of a table for programs, in GLB's words; the seed is not in the binary. */
function toData(table: GlbTable): object {
  const { hashKey, binds, backends } = table;
  return {
    hash_key: Buffer.from(hashKey).toString('hex'),
    binds: binds.map(formatGlbBind),
    backends: backends.map(({ address, state, healthy }) => ({
      ip: formatGlbAddress(address),
      state,
      healthy,
    })),
    rows: Array.from({ length: GLB_ROWS }, (_, row) => rowOf(table, row)),
  };
}
