import { z } from 'zod';
import { formatIpv4, parseIpv4 } from './address.js';
import { TableError } from './errors.js';
import { ForwardingTable, HASH_KEY_LENGTH, newSlots } from './forwarding-table.js';
import { refuseBadRow } from './rows.js';
import { FORMAT_VERSION } from './snapshot.js';

/**
 * A forwarding table as JSON for people, version control and `jq`: header fields on lines of their own, one row per
 * line as `["10.0.1.1", "10.0.2.1"]` or `["10.0.1.1", null]`. Nothing is lost in either direction.
 */

const FORMAT = 'twohop-table';

const dip = z.string().transform((text, context) => {
  try {
    const address = parseIpv4(text);
    if (address !== 0) return address;
  } catch {
    // Said below, with the place.
  }
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no DIP: write an IPv4 address` });
  return z.NEVER;
});

const header = z.object({ format: z.literal(FORMAT), formatVersion: z.int() });

const tableShape = z.strictObject({
  ...header.shape,
  trafficset: z.string(),
  version: z.number(),
  hashKey: z.string().regex(new RegExp(`^[0-9a-f]{${2 * HASH_KEY_LENGTH}}$`), {
    error: `expected ${2 * HASH_KEY_LENGTH} hexadecimal digits in lower case`,
  }),
  bucketCount: z.number(),
  rows: z.array(z.tuple([dip, dip.nullable()])),
});

/** @throws TableError `empty-first-hop`, `same-slots` */
export function encodeTableJson(table: ForwardingTable): string {
  refuseBadRow(table.slots, 'the table cannot be written');
  const fields = {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    trafficset: table.trafficset,
    version: table.version,
    hashKey: Buffer.from(table.hashKey).toString('hex'),
    bucketCount: table.bucketCount,
  };
  const rows: string[] = [];
  for (let bucket = 0; bucket < table.bucketCount; bucket++) {
    const second = table.secondHop(bucket);
    rows.push(
      `    ["${formatIpv4(table.firstHop(bucket))}", ${second === 0 ? 'null' : `"${formatIpv4(second)}"`}]`,
    );
  }
  const head = Object.entries(fields).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},\n`);
  return `{\n${head.join('')}  "rows": [\n${rows.join(',\n')}\n  ]\n}\n`;
}

/** @throws TableError on everything that is not a table in this form; the message names the place */
export function decodeTableJson(text: string): ForwardingTable {
  if (text.trim() === '') throw new TableError('empty', 'there is nothing in it: make the table again');
  const value = parseJson(text);
  checkFormat(value);
  const result = tableShape.safeParse(value);
  if (!result.success) throw new TableError('bad-json', describe(result.error));
  const { trafficset, version, hashKey, bucketCount, rows } = result.data;
  if (rows.length !== bucketCount) {
    throw new TableError(
      'bad-bucket-count',
      `bucketCount says ${bucketCount} and there are ${rows.length} rows: one of them is wrong`,
    );
  }
  const slots = newSlots(bucketCount);
  for (const [bucket, [first, second]] of rows.entries()) {
    slots[2 * bucket] = first;
    slots[2 * bucket + 1] = second ?? 0;
  }
  refuseBadRow(slots, 'the table is not usable');
  return new ForwardingTable({ trafficset, version, hashKey: Buffer.from(hashKey, 'hex'), slots });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TableError('bad-json', `it is no JSON (${reason}): correct it or make the table again`);
  }
}

/** Another format version may have another shape, so it is looked at first. */
function checkFormat(value: unknown): void {
  const result = header.safeParse(value);
  if (!result.success) {
    throw new TableError('bad-magic', `it is JSON, but no forwarding table ("format": "${FORMAT}")`);
  }
  const { formatVersion } = result.data;
  if (formatVersion === FORMAT_VERSION) return;
  throw new TableError(
    formatVersion < FORMAT_VERSION ? 'older-format' : 'newer-format',
    `the table has format version ${formatVersion}, and this release reads ${FORMAT_VERSION}: make the table again`,
  );
}

function describe(error: z.ZodError): string {
  const { path, message } = error.issues[0];
  const place = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  const more = error.issues.length > 1 ? ` (and ${error.issues.length - 1} more)` : '';
  return `${place.replace(/^\./, '') || 'table'}: ${message}${more}`;
}
