import { Keys } from './records.js';
import { type Entry, type Following, type Store, StoreError } from './store.js';
import { type ReadVips, readList, type VipRanges } from './vip-list.js';

export type VipRefusal =
  /** What there was is not there any more, though nobody removed the ranges one by one. */
  | 'missing'
  | 'damaged'
  | 'older-version'
  /** With other ranges than those in use. */
  | 'same-version'
  /** The store did not give it; it is tried again. */
  | 'unreadable';

export interface VipEvents {
  /** The ranges of one trafficset, whole. A trafficset that never had any is not told of. */
  vips(vips: VipRanges): void;
  /** What was not taken, and why; what was told before stays in force. */
  refused(trafficset: string, reason: VipRefusal, message: string): void;
  /** The store went away or came back; told when it changes. */
  available?(available: boolean, why: string): void;
}

const RETRY_MS = 300;

/** Follows the VIP ranges of all trafficsets, through any absence of the store. Never throws. */
export function followVips(store: Store, events: VipEvents): Following {
  return new VipFollower(store, events);
}

class VipFollower implements Following {
  /** By trafficset: what was told last. */
  private readonly held = new Map<string, ReadVips>();
  /** By key: what was told last by the store and not looked at yet. */
  private readonly wanted = new Map<string, Entry>();
  private readonly following: Following;
  private busy = false;
  private closed = false;
  private retry: NodeJS.Timeout | null = null;

  constructor(
    private readonly store: Store,
    private readonly events: VipEvents,
  ) {
    this.following = store.follow(Keys.vips, {
      reset: ({ entries }) => {
        const there = new Set(entries.map(({ key }) => key));
        for (const trafficset of this.held.keys()) {
          if (!there.has(Keys.vips + trafficset)) this.missing(trafficset);
        }
        for (const entry of entries) this.offer(entry);
      },
      changes: (changes) => {
        for (const change of changes) {
          if (change.type === 'put') this.offer(change.entry);
          else this.missing(change.key.slice(Keys.vips.length));
        }
      },
      available: (available, why) => events.available?.(available, why),
    });
  }

  close(): void {
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    this.following.close();
  }

  private missing(trafficset: string): void {
    this.wanted.delete(Keys.vips + trafficset);
    this.events.refused(
      trafficset,
      'missing',
      `${this.store.description} has no VIP ranges of ${trafficset} any more: those in use stay`,
    );
  }

  private offer(entry: Entry): void {
    if (this.closed) return;
    this.wanted.set(entry.key, entry);
    if (!this.busy) void this.work();
  }

  private async work(): Promise<void> {
    this.busy = true;
    for (const [key, entry] of this.wanted) {
      this.wanted.delete(key);
      await this.take(entry);
      if (this.closed) return;
    }
    this.busy = false;
  }

  private async take(entry: Entry): Promise<void> {
    const trafficset = entry.key.slice(Keys.vips.length);
    try {
      const vips = await readList(this.store, entry);
      // Null: a newer one is about to be told.
      if (vips !== null && !this.closed) this.tell(vips);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (this.closed) return;
      const reason = error.code === 'damaged' ? 'damaged' : 'unreadable';
      this.events.refused(trafficset, reason, error.message);
      if (reason === 'unreadable') this.tryAgain(entry);
    }
  }

  private tell(vips: ReadVips): void {
    const { trafficset, version } = vips;
    const held = this.held.get(trafficset);
    if (held !== undefined && version <= held.version) {
      if (version === held.version && vips.sha256 === held.sha256) return;
      const [reason, what] =
        version < held.version
          ? (['older-version', `older than version ${held.version}, which is in use`] as const)
          : (['same-version', 'in use with other ranges'] as const);
      const message = `version ${version} of the VIP ranges of ${trafficset} is ${what}; restart the node to take it`;
      this.events.refused(trafficset, reason, message);
      return;
    }
    this.held.set(trafficset, vips);
    this.events.vips({ trafficset, version, ranges: vips.ranges });
  }

  private tryAgain(entry: Entry): void {
    this.retry = setTimeout(() => {
      if (!this.wanted.has(entry.key)) this.offer(entry);
    }, RETRY_MS);
    this.retry.unref();
  }
}
