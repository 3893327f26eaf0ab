import { z } from 'zod';
import { parseIpv4 } from '../../table/address.js';
import { formatPath } from '../../table/yaml.js';
import { byteDiff } from './byte-diff.js';

/** What the formats share for looking at JSON that may hold anything. */

/** Bytes in hexadecimal without separators. */
export const hexBytes = z
  .string()
  .regex(/^(?:[0-9a-fA-F]{2})*$/, { error: 'expected bytes in hexadecimal, two digits each' })
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')));

/** An IPv4 address, as a number. */
export const ipv4 = z.string().transform((text, context) => {
  try {
    return parseIpv4(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'expected an IPv4 address like 10.0.1.1' });
    return z.NEVER;
  }
});

/** A port, as a number or in digits. */
export const portNumber = z
  .union([
    z.int(),
    z
      .string()
      .regex(/^\d{1,5}$/)
      .transform(Number),
  ])
  .pipe(z.int().min(0).max(65_535));

/** What is wrong with a value that a zod shape refused, one line per place: `counters.x: expected a number, got null`. */
export function shapeProblems(error: z.ZodError, value: unknown): string[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    const place = path.length === 0 ? '' : `${formatPath(path)}: `;
    // What zod received is said better by showing it.
    const message = issue.message.replace(/^Invalid input: /, '').replace(/, received .*$/, '');
    return `${place}${message}, got ${show(valueAt(value, path))}`;
  });
}

/** What differs, under a heading; nothing where nothing does. */
export function compareBytes(what: string, expected: Uint8Array, got: Uint8Array): string[] {
  const lines = byteDiff(expected, got);
  return lines.length === 0 ? [] : [`${what}:`, ...lines.map((line) => `  ${line}`)];
}

/** Is this an object with keys, as opposed to null, an array or a plain value? */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Object.hasOwn(at, step) ? Reflect.get(at, step) : undefined;
  }
  return at;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isRecord(value)) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
