import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type ServerRecord, serverRecord } from '../store/records.js';
import type { VipRanges } from '../store/vips.js';
import { TableError } from '../table/errors.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { readTableFile, replaceFile, writeTableFile } from '../table/table-file.js';
import type { Clock } from './clock.js';

/**
 * What a conductor remembers of the store, so that a store which lost its data can be given them back: in memory, and
 * as files where `conductor.state` names a directory.
 *
 * ```text
 * servers.json    records of servers/, by name
 * vips.json       VIP ranges that came at run time, by trafficset
 * NAME.table      forwarding table of a trafficset, as in table/snapshot.ts
 * NAME.json       when its buckets were changed, and the corrections of its servers
 * ```
 *
 * A table without the file beside it is taken, too: so a node's copy can be put there by hand.
 */

export interface RememberedTable {
  readonly table: ForwardingTable;
  /** Unix time in seconds at which each bucket was changed last; null when that is not known. */
  readonly changedAt: Uint32Array | null;
  readonly corrections: ReadonlyMap<string, number>;
}

/** Changes follow one another closely; files are written once for those of so many milliseconds. */
const SAVE_AFTER_MS = 500;

const vipsFile = z.record(z.string(), z.object({ version: z.int(), ranges: z.array(z.string()) }));
const serversFile = z.record(z.string(), serverRecord);
const besideTable = z.object({
  version: z.int(),
  corrections: z.record(z.string(), z.number().positive()),
  /** Little-endian uint32, base64. */
  changedAt: z.base64(),
});

export class Memory {
  readonly servers = new Map<string, ServerRecord>();
  /** By trafficset. */
  readonly vips = new Map<string, VipRanges>();
  readonly tables = new Map<string, RememberedTable>();
  private readonly unsaved = new Map<string, () => void>();
  private cancelSave: (() => void) | null = null;
  private trouble = '';

  /** @param directory null: nothing is kept beyond the life of the process */
  constructor(
    private readonly directory: string | null,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Where a trafficset's table is kept; null when nothing is. */
  tableFile(trafficset: string): string | null {
    return this.directory === null ? null : join(this.directory, `${trafficset}.table`);
  }

  /** Reads the files of a former life. What cannot be read is told, and not remembered. */
  load(trafficsets: readonly string[]): void {
    if (this.directory === null) return;
    for (const [name, record] of Object.entries(this.readJson('servers.json', serversFile) ?? {})) {
      this.servers.set(name, record);
    }
    for (const [trafficset, vips] of Object.entries(this.readJson('vips.json', vipsFile) ?? {})) {
      this.vips.set(trafficset, { trafficset, ...vips });
    }
    this.loadTables(trafficsets);
  }

  /** The same for trafficsets that are new in the configuration. */
  loadTables(trafficsets: readonly string[]): void {
    if (this.directory === null) return;
    for (const trafficset of trafficsets) {
      if (!this.tables.has(trafficset)) this.loadTable(trafficset, this.directory);
    }
  }

  /** An empty store does not make us forget: whoever removes the last server knows what they do. */
  rememberServers(servers: ReadonlyMap<string, ServerRecord>): void {
    if (servers.size === 0) return;
    replaceAll(this.servers, servers);
    this.save('servers.json', () => JSON.stringify(Object.fromEntries(this.servers)));
  }

  /** Never goes back to an earlier version. */
  rememberVips(vips: VipRanges): void {
    const known = this.vips.get(vips.trafficset);
    if (known !== undefined && known.version >= vips.version) return;
    this.vips.set(vips.trafficset, vips);
    this.save('vips.json', () =>
      JSON.stringify(
        Object.fromEntries([...this.vips].map(([name, { version, ranges }]) => [name, { version, ranges }])),
      ),
    );
  }

  /** Never goes back to an earlier version. */
  rememberTable(trafficset: string, remembered: RememberedTable): void {
    const known = this.tables.get(trafficset);
    if (known !== undefined && known.table.version > remembered.table.version) return;
    this.tables.set(trafficset, remembered);
    if (this.directory === null) return;
    const path = join(this.directory, `${trafficset}.table`);
    this.unsaved.set(path, () => writeTableFile(path, remembered.table));
    const { table, changedAt, corrections } = remembered;
    if (changedAt === null) return;
    this.save(`${trafficset}.json`, () =>
      JSON.stringify({
        version: table.version,
        corrections: Object.fromEntries(corrections),
        changedAt: Buffer.from(changedAt.buffer, changedAt.byteOffset, changedAt.byteLength).toString(
          'base64',
        ),
      }),
    );
  }

  /** So that a new first table can be made. */
  forgetTable(trafficset: string): void {
    this.tables.delete(trafficset);
  }

  /** Writes what is not written yet. */
  flush(): void {
    this.cancelSave?.();
    this.cancelSave = null;
    if (this.directory === null || this.unsaved.size === 0) return;
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      for (const [path, write] of [...this.unsaved]) {
        write();
        this.unsaved.delete(path);
      }
      if (this.trouble !== '') this.log.info('the copy of the state can be written again');
      this.trouble = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message.replace(/\.[0-9a-f]{12}\.tmp/, '') !== this.trouble) {
        this.trouble = message.replace(/\.[0-9a-f]{12}\.tmp/, '');
        this.log.error(`the copy of the state: ${message}; tables are published all the same`);
      }
      this.soon();
    }
  }

  private save(file: string, content: () => string): void {
    if (this.directory === null) return;
    const path = join(this.directory, file);
    this.unsaved.set(path, () => replaceFile(path, content()));
    this.soon();
  }

  private soon(): void {
    this.cancelSave ??= this.clock.after(SAVE_AFTER_MS, () => this.flush());
  }

  private loadTable(trafficset: string, directory: string): void {
    const path = join(directory, `${trafficset}.table`);
    let table: ForwardingTable;
    try {
      table = readTableFile(path);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      if (!error.message.includes('ENOENT')) this.log.error(`the copy of the state: ${error.message}`);
      return;
    }
    if (table.trafficset !== trafficset) {
      this.log.error(`the copy of the state: ${path} is for trafficset ${table.trafficset}`);
      return;
    }
    const beside = this.readJson(`${trafficset}.json`, besideTable);
    const bytes = Buffer.from(beside?.changedAt ?? '', 'base64');
    const fits = beside?.version === table.version && bytes.length === 4 * table.bucketCount;
    this.tables.set(trafficset, {
      table,
      changedAt: fits ? new Uint32Array(Uint8Array.from(bytes).buffer) : null,
      corrections: new Map(Object.entries(beside?.corrections ?? {})),
    });
  }

  private readJson<Shape>(file: string, shape: z.ZodType<Shape>): Shape | null {
    const path = join(this.directory ?? '', file);
    try {
      return shape.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
      if (!isMissing) this.log.error(`the copy of the state: ${path} cannot be used: ${reason}`);
      return null;
    }
  }
}

function replaceAll<Value>(target: Map<string, Value>, source: ReadonlyMap<string, Value>): void {
  target.clear();
  for (const [key, value] of source) target.set(key, value);
}
