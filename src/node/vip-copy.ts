import { existsSync, readFileSync } from 'node:fs';
import { parsePrefix } from '../table/address.js';
import type { RangeSet } from './vip-ranges.js';

/** A node's copy of the VIP ranges that the store has of a trafficset: one prefix per line, behind a line of its own. */

/** The copy lies beside that of the table. */
export function vipCopyPath(tableCopy: string): string {
  return `${tableCopy.replace(/\.table$/, '')}.vips`;
}

export function vipCopyText(trafficset: string, version: number, ranges: readonly string[]): string {
  return [`# VIP ranges of ${trafficset}, version ${version}, complete`, ...ranges, '# end', ''].join('\n');
}

/**
 * @returns null when there is no copy
 * @throws Error, TableError when it cannot be read, or is of another trafficset
 */
export function readVipCopy(path: string, trafficset: string): RangeSet | null {
  if (!existsSync(path)) return null;
  const [first, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const head = /^# VIP ranges of (\S+), version (\d+), complete$/.exec(first);
  if (head === null || head[1] !== trafficset || lines.pop() !== '# end') {
    throw new Error(`${path}: not a whole copy of the VIP ranges of ${trafficset}; remove it`);
  }
  return { version: Number(head[2]), prefixes: lines.map(parsePrefix) };
}
