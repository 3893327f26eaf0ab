import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KeptEntry, Keyspace, LiveLease, Operation } from './keyspace.js';

/**
 * What the files of a file store hold: one line of header, then JSON (values in base64), so that people can read it.
 *
 * ```text
 * twohop-store 1 entry REVISION BYTES SHA256 LF
 * JSON of that many bytes
 * ```
 *
 * `entry` is one transaction, `snapshot` all keys as they are after the transaction of that revision. The digest is over
 * the header up to it, and the JSON.
 */

export type RecordKind = 'entry' | 'snapshot';

const FORMAT = 1;

/** One transaction of the journal. */
export interface JournalEntry {
  readonly operation: Operation;
  /** Whether it, and all before it, was on the disk before anybody saw it. */
  readonly durable: boolean;
}

const bytes = z.string().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const operation = z.object({
  durable: z.boolean(),
  puts: z.array(z.object({ key: z.string(), value: bytes, lease: z.string().nullable() })),
  deletes: z.array(z.string()),
  lease: z
    .union([
      z.object({ type: z.literal('grant'), id: z.string(), seconds: z.number() }),
      z.object({ type: z.enum(['renew', 'end']), id: z.string() }),
    ])
    .nullable(),
});
const snapshot = z.object({
  entries: z.array(
    z.object({
      key: z.string(),
      value: bytes,
      revision: z.int(),
      created: z.int(),
      lease: z.string().nullable(),
    }),
  ),
  leases: z.array(z.object({ id: z.string(), seconds: z.number(), epoch: z.int() })),
});

export function encodeEntry(revision: number, { operation, durable }: JournalEntry): Buffer {
  const { puts, deletes, lease = null } = operation;
  return seal('entry', revision, { durable, puts: puts.map(withText), deletes, lease });
}

/** @throws Error that says what is wrong with it */
export function decodeEntry(file: Buffer, revision: number): JournalEntry {
  const { durable, puts, deletes, lease } = parse(operation, unseal('entry', revision, file));
  return { durable, operation: { puts, deletes, ...(lease === null ? {} : { lease }) } };
}

export function encodeState({ revision, entries, leases }: Keyspace): Buffer {
  return seal('snapshot', revision, {
    entries: [...entries.values()].map(withText),
    leases: [...leases].map(([id, lease]) => ({ id, ...lease })),
  });
}

/** @throws Error that says what is wrong with it */
export function decodeState(
  file: Buffer,
  revision: number,
): { entries: KeptEntry[]; leases: ({ id: string } & LiveLease)[] } {
  return parse(snapshot, unseal('snapshot', revision, file));
}

function withText<Valued extends { readonly value: Uint8Array }>(valued: Valued) {
  const { value } = valued;
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return { ...valued, value: text };
}

function parse<Shape>(shape: z.ZodType<Shape>, value: unknown): Shape {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`has not the expected form (${z.prettifyError(parsed.error)})`);
}

function seal(kind: RecordKind, revision: number, body: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(body));
  const start = `twohop-store ${FORMAT} ${kind} ${revision} ${json.length}`;
  return Buffer.concat([Buffer.from(`${start} ${digest(start, json)}\n`), json]);
}

function unseal(kind: RecordKind, revision: number, file: Buffer): unknown {
  if (file.length === 0) throw new Error('is empty');
  const lineEnd = file.indexOf(0x0a);
  const header = file.subarray(0, Math.max(lineEnd, 0)).toString('latin1');
  const match = /^(twohop-store (\d+) (\w+) (\d+) (\d+)) ([0-9a-f]{64})$/.exec(header);
  if (match === null) throw new Error('does not begin as such a file does');
  const [, start, format, foundKind, foundRevision, length, sha256] = match;
  if (Number(format) !== FORMAT) {
    throw new Error(`has format ${format}, and this release knows ${FORMAT}: another release wrote it`);
  }
  if (foundKind !== kind || Number(foundRevision) !== revision) {
    throw new Error(`is the ${foundKind} of revision ${foundRevision}`);
  }
  const json = file.subarray(lineEnd + 1);
  if (json.length < Number(length)) throw new Error(`is truncated: ${json.length} bytes of ${length}`);
  if (json.length > Number(length)) throw new Error('has bytes behind its end');
  if (digest(start, json) !== sha256) throw new Error('has another checksum than when it was written');
  return JSON.parse(json.toString());
}

function digest(start: string, json: Buffer): string {
  return createHash('sha256').update(`${start}\n`).update(json).digest('hex');
}
