import { z } from 'zod';
import { formatGlbAddress, GLB_ROWS, type GlbTable, parseGlbAddress } from '../../table/glb/glb-table.js';
import { ConformanceError, malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { readGlbTables } from './glb-site.js';
import { isRecord, shapeProblems } from './shape.js';

/**
 * Rows of the tables that GLB's `glb-director-cli build-config` makes: `tables[t]` has some or all rows of table `t` of
 * the `forwarding_table`, by number or in order, each as `[primary, secondary]`.
 */

const backendAddress = z.string().transform((text, context) => {
  try {
    return formatGlbAddress(parseGlbAddress(text));
  } catch {
    context.addIssue({ code: 'custom', message: 'expected the address of a backend' });
    return z.NEVER;
  }
});
const rowShape = z.tuple([backendAddress, backendAddress]);

export const glbTableRows: VectorFormat = {
  name: 'glb-table-rows',

  recognises(file): boolean {
    return isRecord(file) && 'forwarding_table' in file && Array.isArray(file.tables);
  },

  *run(file): Generator<VectorResult> {
    if (!isRecord(file) || !Array.isArray(file.tables)) return;
    const tables = readGlbTables('glb-table-rows', file.forwarding_table);
    if (tables.length !== file.tables.length) {
      throw new ConformanceError(
        `glb-table-rows: there are rows of ${file.tables.length} tables, and the forwarding_table has ${tables.length}`,
      );
    }
    for (const [index, rows] of file.tables.entries()) {
      if (typeof rows !== 'object' || rows === null) {
        throw new ConformanceError(`glb-table-rows: tables[${index}]: expected rows by number, got ${rows}`);
      }
      yield* runTable(`table ${index}`, tables[index](), Object.entries(rows));
    }
  },
};

function* runTable(
  group: string,
  table: GlbTable,
  rows: readonly (readonly [string, unknown])[],
): Generator<VectorResult> {
  for (const [index, [number, value]] of rows.entries()) {
    const name = `${group}/row ${number}`;
    const row = /^\d{1,5}$/.test(number) ? Number(number) : GLB_ROWS;
    const expected = rowShape.safeParse(value);
    if (row >= GLB_ROWS || !expected.success) {
      const problems = expected.success
        ? [`there is no row ${number}: they count from 0 to ${GLB_ROWS - 1}`]
        : shapeProblems(expected.error, value);
      yield malformedVector(index, name, problems);
      continue;
    }
    const address = (slot: number): string => formatGlbAddress(table.backends[table.rows[slot]].address);
    const got = `${address(2 * row)}, ${address(2 * row + 1)}`;
    const wanted = expected.data.join(', ');
    const detail = wanted === got ? [] : [`expected ${wanted}`, `got      ${got}`];
    yield { group, name, outcome: detail.length === 0 ? 'passed' : 'failed', detail };
  }
}
