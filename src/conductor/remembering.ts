import type { Logger } from 'pino';
import { decodeRecord } from '../store/records.js';
import { type Entry, type Following, type Store, StoreError } from '../store/store.js';
import { TableKeys, tableHead } from '../store/table-head.js';
import { type Published, readPublished } from '../store/tables.js';
import { followVips } from '../store/vips.js';
import type { Clock } from './clock.js';
import type { Memory, RememberedTable } from './memory.js';
import type { Observed } from './observed.js';

/** What is behind the head of a trafficset's table, as the store told last. */
export interface SeenHead {
  /** null: it cannot be read. */
  readonly version: number | null;
  readonly revision: number;
}

/** Changes come in bursts; reading once after them is enough. */
const READ_AFTER_MS = 500;

/**
 * Follows what a conductor has to remember: tables, servers, VIPs. It remembers only what is no step back: a store that
 * lost its data, or was put back to an earlier day, does not make us forget.
 */
export class Remembering {
  /** By trafficset; null: there is none. Absent: nothing was told yet. */
  readonly heads = new Map<string, SeenHead | null>();
  private readonly following: Following[] = [];
  /** By trafficset: resolves when its head was told. */
  private readonly told = new Map<string, Promise<void>>();
  private cancel: (() => void) | null = null;
  private reading = false;
  private closed = false;

  constructor(
    private readonly store: Store,
    private readonly memory: Memory,
    private readonly observed: Observed,
    private readonly trafficsets: () => readonly string[],
    private readonly clock: Clock,
    private readonly log: Logger,
    /** The head of a trafficset's table is another one. */
    private readonly changed: (trafficset: string) => void,
  ) {}

  /** Resolves when everything has been told once. */
  async follow(): Promise<void> {
    const heads = this.followHeads();
    this.following.push(
      followVips(this.store, {
        vips: (vips) => this.memory.rememberVips(vips),
        refused: (trafficset, reason, message) => {
          // After a loss of data, that is what is being put right.
          if (reason === 'damaged') this.log.error({ trafficset }, message);
        },
      }),
    );
    await heads;
  }

  /** Those trafficsets, too, that have come since. Resolves when each head was told once. */
  async followHeads(): Promise<void> {
    await Promise.all(
      this.trafficsets().map((name) => {
        const told = this.told.get(name) ?? this.followHead(name);
        this.told.set(name, told);
        return told;
      }),
    );
  }

  close(): void {
    this.closed = true;
    this.cancel?.();
    for (const following of this.following) following.close();
  }

  /** Something that is to be remembered changed. */
  soon(): void {
    if (this.closed) return;
    this.cancel ??= this.clock.after(READ_AFTER_MS, () => {
      this.cancel = null;
      void this.read();
    });
  }

  private followHead(trafficset: string): Promise<void> {
    const key = TableKeys.head(trafficset);
    const see = (entry: Entry | null) => {
      const head = entry === null ? null : decodeRecord(tableHead, entry.value);
      this.heads.set(
        trafficset,
        entry === null ? null : { version: head?.version ?? null, revision: entry.revision },
      );
      this.changed(trafficset);
      this.soon();
    };
    return new Promise((resolve) => {
      this.following.push(
        this.store.follow(key, {
          reset: ({ entries }) => {
            see(entries.find((entry) => entry.key === key) ?? null);
            resolve();
          },
          changes: (changes) => {
            for (const change of changes) see(change.type === 'put' ? change.entry : null);
          },
          available: () => {},
        }),
      );
    });
  }

  private async read(): Promise<void> {
    if (this.reading) return this.soon();
    this.reading = true;
    try {
      for (const trafficset of this.trafficsets()) await this.readTable(trafficset);
      const heads = this.trafficsets().map((name) => [name, this.heads.get(name)?.version ?? null] as const);
      const stepBack = heads.some(([name, version]) => {
        const remembered = this.memory.tables.get(name)?.table.version;
        return remembered !== undefined && (version === null || version < remembered);
      });
      if (stepBack || heads.every(([, version]) => version === null)) return;
      this.memory.rememberServers(this.observed.servers.known);
    } catch (error) {
      // Who leads tells of damage; and a store that is away is told of elsewhere.
      if (!(error instanceof StoreError)) throw error;
      this.log.debug({ code: error.code }, error.message);
    } finally {
      this.reading = false;
    }
  }

  private async readTable(trafficset: string): Promise<void> {
    const version = this.heads.get(trafficset)?.version ?? null;
    const remembered = this.memory.tables.get(trafficset)?.table.version ?? -1;
    if (version === null || version <= remembered) return;
    const published = await readPublished(this.store, trafficset);
    if (published !== null) this.memory.rememberTable(trafficset, rememberedOf(published));
  }
}

export function rememberedOf({ table, changedAt, planner }: Published): RememberedTable {
  return { table, changedAt, corrections: new Map(Object.entries(planner.corrections)) };
}
