import { TableError } from '../table/errors.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { readTableFile } from '../table/table-file.js';
import { FileFollower } from './file-follower.js';

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
  private readonly file: FileFollower;

  constructor(
    readonly path: string,
    readonly trafficset: string,
    private readonly events: TableFollowerEvents,
    /** What is in use already, when the table's file has moved. */
    private current: ForwardingTable | null = null,
  ) {
    this.file = new FileFollower(path, {
      changed: () => this.read(),
      missing: (why) => this.events.refused('missing', `${path}: ${why}; waiting for it`),
    });
  }

  /** Reads the file now, and follows it from then on. */
  start(): void {
    this.check();
  }

  get version(): number {
    return this.current?.version ?? -1;
  }

  close(): void {
    this.file.close();
  }

  /** Reads the file if it is not the one last seen. @param force even then (SIGHUP) */
  check(force = false): void {
    this.file.check(force);
  }

  private read(): void {
    try {
      this.take(readTableFile(this.path));
    } catch (error) {
      const code = error instanceof TableError ? error.code : 'unreadable';
      this.events.refused(code, error instanceof Error ? error.message : String(error));
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
}

function sameContent(a: ForwardingTable, b: ForwardingTable): boolean {
  return Buffer.compare(a.hashKey, b.hashKey) === 0 && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf({ slots }: ForwardingTable): Uint8Array {
  return new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength);
}
