import type { Row } from './report.js';
import { benchVips, type Figure } from './vips.js';

/** The figures of vips.ts as rows of the report, with the bars that they are held to. */

const LOAD_MS = 1000;
const MATCH_NS = 1000;

export async function vipRows(): Promise<Row[]> {
  return (await benchVips()).map(rowOf);
}

function rowOf({ name, unit, value }: Figure): Row {
  const limit = unit === 'ms' ? LOAD_MS : MATCH_NS;
  return {
    name,
    unit,
    js: { min: value, median: value, max: value },
    bar: `< ${limit} ${unit}`,
    pass: value < limit,
    notes: [],
  };
}
