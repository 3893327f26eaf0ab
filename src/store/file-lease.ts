import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { errnoOf } from './file-errors.js';
import type { Journal } from './file-journal.js';

/**
 * When leases were renewed last: `leases/ID` holds the boot of the machine and a time by CLOCK_MONOTONIC, which all its
 * processes read alike, and which no one can set. It is written in place, so that a full disk ends no lease.
 *
 * Who wants to end a lease looks at the clock first and at the file then, and who renews it looks at the clock after he
 * has written: if that was in time, nobody has seen the old value too late. Who is late must go through the journal
 * (`renew`, see `keyspace.ts`), where only one of the two can be first.
 */

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const DIGITS = 16;

/** Milliseconds since the machine was started. */
export function monotonic(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** @returns the new lease's name */
export function createLeaseFile(journal: Journal, at: number): string {
  for (;;) {
    const id = `${process.pid}-${randomBytes(8).toString('hex')}`;
    if (journal.place(content(at), journal.leasePath(id), false)) return id;
  }
}

/** @returns false when there is no such file any more */
export function touchLeaseFile(journal: Journal, id: string, at: number): boolean {
  try {
    const file = openSync(journal.leasePath(id), 'r+');
    try {
      writeSync(file, content(at), 0, null, 0);
    } finally {
      closeSync(file);
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** @returns null when nobody can be keeping it up: it is gone, or of another life of the machine */
export function readLeaseFile(journal: Journal, id: string): number | null {
  try {
    const match = /^(\S+) (\d{16})\n$/.exec(readFileSync(journal.leasePath(id), 'latin1'));
    return match === null || match[1] !== BOOT ? null : Number(match[2]);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

export function removeLeaseFile(journal: Journal, id: string): void {
  rmSync(journal.leasePath(id), { force: true });
}

function content(at: number): Buffer {
  return Buffer.from(`${BOOT} ${`${at}`.padStart(DIGITS, '0')}\n`);
}
