import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from './file-errors.js';
import { decodeEntry, decodeState, encodeEntry, encodeState, type JournalEntry } from './file-record.js';
import { Keyspace } from './keyspace.js';
import { StoreError } from './store.js';

/**
 * The directory of a file store.
 *
 * ```text
 * journal/REVISION    one transaction each
 * snapshot/REVISION   all keys, every SNAPSHOT_EVERY transactions; the two newest stay
 * leases/ID           when the lease was renewed last
 * tmp/                files that are being written
 * ```
 *
 * A transaction becomes part of the journal by link(2) to the name of its revision. Of several processes that want the
 * same one, the kernel lets one have it, and the others look at what it did and try again. No lock is held, so nobody who
 * is stopped or killed can keep others waiting.
 *
 * The **floor** is the revision of the second newest snapshot. Journal files below it are removed, and no others: who
 * finds, after reading or linking a file, that the floor is not above it, knows that the file was never away.
 */

const SNAPSHOT_EVERY = 1024;
const DIGITS = 16;
/** Files in tmp/ that nobody goes on with. One who does (after a long stop) writes his anew. */
const ABANDONED_MS = 60_000;

export class Journal {
  constructor(
    readonly directory: string,
    private readonly snapshotEvery = SNAPSHOT_EVERY,
  ) {}

  /** Makes what is missing of the directory's inside, not the directory itself. */
  prepare(): void {
    for (const inside of ['journal', 'snapshot', 'leases', 'tmp']) {
      const path = join(this.directory, inside);
      if (statSync(path, { throwIfNoEntry: false }) !== undefined) continue;
      try {
        mkdirSync(path);
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
    }
  }

  /** What tells a journal file from any other that has been in its place; null when there is none. */
  stamp(revision: number): string | null {
    const stat = statSync(this.entryPath(revision), { throwIfNoEntry: false });
    return stat === undefined ? null : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
  }

  /** @returns null when there is no such revision. @throws StoreError `damaged` */
  read(revision: number): JournalEntry | null {
    const path = this.entryPath(revision);
    const file = readIfThere(path);
    if (file === null) return null;
    return this.decoded(path, () => decodeEntry(file, revision));
  }

  /** Below it, journal files are removed. */
  floor(): number {
    return this.snapshots().at(1) ?? 0;
  }

  /** The newest snapshot, an empty keyspace where there is none. @throws StoreError `damaged` */
  load(): Keyspace {
    for (;;) {
      const keyspace = new Keyspace();
      const revision = this.snapshots().at(0);
      if (revision === undefined) return keyspace;
      const path = this.snapshotPath(revision);
      const file = readIfThere(path);
      // Meanwhile there are two newer ones.
      if (file === null) continue;
      const { entries, leases } = this.decoded(path, () => decodeState(file, revision));
      keyspace.revision = revision;
      for (const entry of entries) keyspace.put(entry);
      for (const { id, seconds, epoch } of leases) keyspace.leases.set(id, { seconds, epoch });
      return keyspace;
    }
  }

  /**
   * Makes it the transaction of this revision.
   * @param before revisions that are perhaps not on the disk; they are made so before a durable one
   * @returns false when there is one already
   * @throws StoreError `uncertain` when this process was stopped for so long that nobody can tell
   */
  append(revision: number, entry: JournalEntry, before: readonly number[]): boolean {
    if (entry.durable) for (const earlier of before) syncIfThere(this.entryPath(earlier));
    const path = this.entryPath(revision);
    if (!this.place(encodeEntry(revision, entry), path, entry.durable)) return false;
    if (this.floor() <= revision) return true;
    rmSync(path, { force: true });
    throw new StoreError(
      'uncertain',
      `this process was stopped while it wrote to ${this.directory}: look what is there, and try again`,
    );
  }

  /** Every so often, when the keyspace has just got there: writes a snapshot, and removes what is old. */
  compact(keyspace: Keyspace): void {
    const newest = this.snapshots().at(0) ?? 0;
    if (keyspace.revision - newest < this.snapshotEvery) return;
    this.place(encodeState(keyspace), this.snapshotPath(keyspace.revision), true);
    const snapshots = this.snapshots();
    const floor = snapshots.at(1) ?? 0;
    for (const old of snapshots.slice(2)) rmSync(this.snapshotPath(old), { force: true });
    for (const revision of this.numbers('journal')) {
      if (revision < floor) rmSync(this.entryPath(revision), { force: true });
    }
    this.clean(keyspace);
  }

  /** Removes what processes left behind that were killed in the middle. */
  clean(keyspace: Keyspace): void {
    this.removeAbandoned('tmp', () => true);
    this.removeAbandoned('leases', (id) => !keyspace.leases.has(id));
  }

  /** Writes a file whole, under a name that is free. @returns false when it is taken */
  place(content: Buffer, path: string, durable: boolean): boolean {
    for (;;) {
      const temporary = join(this.directory, 'tmp', `${process.pid}-${randomBytes(6).toString('hex')}`);
      try {
        writeFile(temporary, content, durable);
        linkSync(temporary, path);
        if (durable) sync(join(path, '..'));
        return true;
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return false;
        // Taken for abandoned, after a long stop: only then is the directory there and the file not.
        if (errnoOf(error) !== 'ENOENT' || !this.isThere()) throw error;
      } finally {
        rmSync(temporary, { force: true });
      }
    }
  }

  leasePath(id: string): string {
    return join(this.directory, 'leases', id);
  }

  private isThere(): boolean {
    return ['journal', 'snapshot', 'leases', 'tmp'].every(
      (inside) => statSync(join(this.directory, inside), { throwIfNoEntry: false }) !== undefined,
    );
  }

  private decoded<Value>(path: string, decode: () => Value): Value {
    try {
      return decode();
    } catch (error) {
      throw new StoreError('damaged', `${path} ${messageOf(error)}. ${this.advice(path)}`, { cause: error });
    }
  }

  private advice(path: string): string {
    if (path.includes('/snapshot/')) {
      return 'Remove this file: the snapshot before it and the journal hold the same';
    }
    return (
      `Put the directory ${this.directory} back from a copy; or, to go on without this change and those after it, ` +
      'remove this file and all in the same directory whose number is higher'
    );
  }

  /** Revisions, the newest first. */
  private snapshots(): number[] {
    return this.numbers('snapshot').sort((a, b) => b - a);
  }

  private numbers(inside: string): number[] {
    const names = readdirSync(join(this.directory, inside));
    return names.filter((name) => /^\d{16}$/.test(name)).map(Number);
  }

  private removeAbandoned(inside: string, which: (name: string) => boolean): void {
    for (const name of readdirSync(join(this.directory, inside)).filter(which)) {
      const path = join(this.directory, inside, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED_MS) rmSync(path, { force: true });
    }
  }

  private entryPath(revision: number): string {
    return join(this.directory, 'journal', `${revision}`.padStart(DIGITS, '0'));
  }

  private snapshotPath(revision: number): string {
    return join(this.directory, 'snapshot', `${revision}`.padStart(DIGITS, '0'));
  }
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function writeFile(path: string, content: Buffer, durable: boolean): void {
  const file = openSync(path, 'wx', 0o644);
  try {
    for (let at = 0; at < content.length; ) at += writeSync(file, content, at);
    if (durable) fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncIfThere(path: string): void {
  try {
    sync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
