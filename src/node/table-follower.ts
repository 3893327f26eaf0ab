import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { TableError } from '../table/errors.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { readTableFile } from '../table/table-file.js';

/** Events of one save come in a burst; reading once after it is enough. */
const SETTLE_MS = 20;
/** Where the kernel reports nothing (a network file system, a directory made later), look this often. */
const LOOK_MS = 1000;

export interface TableFollowerEvents {
  /** A new table, read and checked. */
  table(table: ForwardingTable): void;
  /** A file that was not taken, and why; the old table stays in use. */
  refused(reason: string, message: string): void;
}

/**
 * Follows the forwarding-table file of one trafficset. An atomic replacement is noticed at once; a file that is
 * truncated, corrupt, of an older format, of another trafficset or of an older version is refused by name, and what
 * was in use stays in use.
 */
export class TableFollower {
  private watcher: FSWatcher | null = null;
  private settle: NodeJS.Timeout | null = null;
  private readonly look: NodeJS.Timeout;
  /** Identity of the file last read, whether it was taken or refused; '' for none there, null before the first look. */
  private seen: string | null = null;

  constructor(
    readonly path: string,
    readonly trafficset: string,
    private readonly events: TableFollowerEvents,
    /** What is in use already, when the table's file has moved. */
    private current: ForwardingTable | null = null,
  ) {
    this.look = setInterval(() => this.check(), LOOK_MS);
    this.look.unref();
  }

  /** Reads the file now, and follows it from then on. */
  start(): void {
    this.check();
  }

  get version(): number {
    return this.current?.version ?? -1;
  }

  close(): void {
    clearInterval(this.look);
    if (this.settle !== null) clearTimeout(this.settle);
    this.watcher?.close();
    this.watcher = null;
  }

  /** Reads the file if it is not the one last seen. @param force even then (SIGHUP) */
  check(force = false): void {
    this.watchDirectory();
    const identity = identityOf(this.path);
    if (identity === this.seen && !force) return;
    this.seen = identity;
    if (identity === '') {
      this.events.refused('missing', `${this.path}: no such file; waiting for it`);
      return;
    }
    try {
      this.take(readTableFile(this.path));
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      this.events.refused(error.code, error.message);
    }
  }

  private take(table: ForwardingTable): void {
    if (table.trafficset !== this.trafficset) {
      this.events.refused(
        'wrong-trafficset',
        `${this.path}: the table is of trafficset ${table.trafficset}, not ${this.trafficset}`,
      );
      return;
    }
    if (table.version < this.version) {
      this.events.refused(
        'older-version',
        `${this.path}: version ${table.version} is older than version ${this.version}, which is in use; ` +
          'write a higher version, or restart the node to go back',
      );
      return;
    }
    if (this.current !== null && table.version === this.version) {
      if (sameContent(table, this.current)) return;
      this.events.refused(
        'same-version',
        `${this.path}: version ${table.version} is in use with other rows; a changed table needs a higher version`,
      );
      return;
    }
    this.current = table;
    this.events.table(table);
  }

  /** The directory is watched, not the file: a replaced file is another inode. */
  private watchDirectory(): void {
    if (this.watcher !== null) return;
    try {
      const name = basename(this.path);
      const watcher = watch(dirname(this.path), (_event, changed) => {
        if (changed === null || changed === name) this.soon();
      });
      watcher.on('error', () => {
        watcher.close();
        this.watcher = null;
      });
      this.watcher = watcher;
    } catch {
      // No such directory yet: the timer looks again.
    }
  }

  private soon(): void {
    if (this.settle !== null) return;
    this.settle = setTimeout(() => {
      this.settle = null;
      this.check();
    }, SETTLE_MS);
  }
}

function sameContent(a: ForwardingTable, b: ForwardingTable): boolean {
  return Buffer.compare(a.hashKey, b.hashKey) === 0 && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf({ slots }: ForwardingTable): Uint8Array {
  return new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength);
}

/** Changes whenever the file is replaced or rewritten; '' when there is none. */
function identityOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
}
