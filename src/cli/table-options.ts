import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { parseIpv4 } from '../table/address.js';
import type { ServerWeight } from '../table/edit.js';
import { HASH_KEY_LENGTH } from '../table/forwarding-table.js';
import { ExitCode } from './exit.js';

/** What the parts of `twohop table` share: their arguments, and what they print. */

/** Ends with a message about the command line. */
export function usage(command: Command, message: string): never {
  return command.error(`error: ${message}`, { exitCode: ExitCode.Usage });
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function servers(text: string, earlier: readonly ServerWeight[] = []): readonly ServerWeight[] {
  const [address, weight] = text.split('=', 2);
  return [...earlier, { dip: dip(address), weight: weight === undefined ? 1 : decimal(weight) }];
}

export function dip(text: string): number {
  try {
    return parseIpv4(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

export function hashKey(text: string): Uint8Array {
  if (text === 'random') return randomBytes(HASH_KEY_LENGTH);
  if (/^[0-9a-f]{16}$/i.test(text)) return Buffer.from(text, 'hex');
  throw new InvalidArgumentError('Give 16 hexadecimal digits, or "random".');
}

export function fraction(text: string): number {
  const value = decimal(text);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Give a number from 0 to 1.');
}

function decimal(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`${JSON.stringify(text)} is no number like 2 or 0.5.`);
}

export function rowRange(text: string): readonly [number, number] {
  const match = /^(\d{1,8})(?:-(\d{1,8}))?$/.exec(text);
  const first = Number(match?.[1] ?? Number.NaN);
  const last = Number(match?.[2] ?? first);
  if (first <= last) return [first, last];
  throw new InvalidArgumentError('Give buckets like 0-15, low end first.');
}
