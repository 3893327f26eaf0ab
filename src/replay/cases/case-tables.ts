import { z } from 'zod';
import type { ServerConfig } from '../../table/cluster.js';
import { addServer, clearSecondHops, drain, HOP_ROLES, makeTable, swapHops } from '../../table/edit.js';
import { TableError } from '../../table/errors.js';
import { ForwardingTable, HASH_KEY_LENGTH, newSlots } from '../../table/forwarding-table.js';
import { type ProblemReport, strictShape } from '../../table/yaml.js';

/**
 * The forwarding tables of a case, made as a person would make them: from servers, from rows, or from another table of
 * the case by one edit.
 */

const serverName = z.string();

export const caseTableShape = strictShape({
  /** Needed only where the case has several trafficsets. */
  trafficset: z.string().optional(),
  servers: z.array(serverName).min(1).optional(),
  /** First hop, and second hop if any, of each bucket. */
  rows: z.array(z.array(serverName).min(1).max(2)).min(1).optional(),
  from: z.string().optional(),
  drain: serverName.optional(),
  add: serverName.optional(),
  roles: z.enum(HOP_ROLES).default('tcp'),
  swap: z.number().min(0).max(1).optional(),
  clear_second_hops: z.literal(true).optional(),
  buckets: z.int().min(1).max(65536).default(256),
  seed: z.int().min(0).default(0),
  key: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .default('0001020304050607'),
  version: z.int().min(0).default(1),
});

export type CaseTable = z.output<typeof caseTableShape>;

/** @returns the tables by name; what is wrong goes into the report */
export function makeCaseTables(
  sections: Readonly<Record<string, CaseTable>>,
  servers: readonly ServerConfig[],
  trafficsets: readonly string[],
  report: ProblemReport,
): Map<string, ForwardingTable> {
  const dips = new Map(servers.map(({ name, dip }) => [name, dip]));
  const made = new Map<string, ForwardingTable>();
  for (const [name, section] of Object.entries(sections)) {
    try {
      made.set(name, makeOne(section, dips, trafficsets, made));
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      report.at(['tables', name], error.message);
    }
  }
  return made;
}

function makeOne(
  section: CaseTable,
  dips: ReadonlyMap<string, number>,
  trafficsets: readonly string[],
  made: ReadonlyMap<string, ForwardingTable>,
): ForwardingTable {
  const dipOf = (name: string): number => {
    const dip = dips.get(name);
    if (dip === undefined) throw new TableError('unknown-server', `there is no server named ${name}`);
    return dip;
  };
  const { from, servers, rows, buckets, seed, version } = section;
  if ([from, servers, rows].filter((way) => way !== undefined).length !== 1) {
    throw new TableError('no-servers', 'give one of servers, rows or from');
  }
  if (from !== undefined) return edited(section, earlier(from, made), dipOf);
  const trafficset = section.trafficset ?? trafficsets[0];
  const hashKey = Buffer.from(section.key, 'hex').subarray(0, HASH_KEY_LENGTH);
  if (servers !== undefined) {
    const weighted = servers.map((name) => ({ dip: dipOf(name) }));
    return makeTable({ trafficset, version, hashKey, buckets, servers: weighted, seed });
  }
  return new ForwardingTable({ trafficset, version, hashKey, slots: slotsOf(rows ?? [], dipOf) });
}

/** Rows are repeated over as many buckets as a power of two takes. */
function slotsOf(rows: ReadonlyArray<readonly string[]>, dipOf: (name: string) => number): Uint32Array {
  const slots = newSlots(2 ** Math.ceil(Math.log2(rows.length)));
  for (let bucket = 0; 2 * bucket < slots.length; bucket++) {
    const [first, second] = rows[bucket % rows.length];
    slots[2 * bucket] = dipOf(first);
    slots[2 * bucket + 1] = second === undefined ? 0 : dipOf(second);
  }
  return slots;
}

function earlier(name: string, made: ReadonlyMap<string, ForwardingTable>): ForwardingTable {
  const table = made.get(name);
  if (table !== undefined) return table;
  throw new TableError('bad-name', `from: no table ${name} stands before this one`);
}

function edited(
  { clear_second_hops, add, drain: leaving, swap, seed, roles }: CaseTable,
  from: ForwardingTable,
  dipOf: (name: string) => number,
): ForwardingTable {
  let table = from;
  if (clear_second_hops === true) table = clearSecondHops(table, roles);
  if (add !== undefined) table = addServer(table, dipOf(add), seed, roles);
  if (leaving !== undefined) table = drain(table, dipOf(leaving), { keepSecondHop: true, roles });
  if (swap !== undefined) table = swapHops(table, swap, seed);
  return table;
}
