import type { Bands } from './bands.js';
import { type Fleet, Place } from './fleet.js';
import { Heirs } from './heirs.js';
import { oldestFirst } from './order.js';
import type { TableWork } from './table-work.js';
import type { BalanceSettings, Rule } from './types.js';

/**
 * Moves new flows of buckets from server to server, in the order of what it costs established flows: first where
 * newcomer and holder only change places, then where there is no holder to push out, and last where the holder has been
 * one for long. Among equals, the bucket that was changed longest ago comes first.
 *
 * Source: "Unimog - Cloudflare's edge load balancer" (2020), the two paragraphs on updating forwarding tables.
 */
export class Relocation {
  /** What could not be done yet. */
  readonly held: Held[] = [];
  /** Most buckets that may be recent after a planned change. */
  private readonly limit: number;
  private rounds = 0;

  constructor(
    private readonly work: TableWork,
    private readonly fleet: Fleet,
    private readonly bands: Bands,
    private readonly settings: BalanceSettings,
    private readonly seed: number,
  ) {
    this.limit = Math.max(1, Math.floor(settings.maxChangePerMinute * work.buckets));
  }

  /**
   * Takes away all new flows of servers that may not get any.
   *
   * A holder that is too young to be pushed out takes over even when it has enough: that breaks nothing, and what it has
   * too much goes elsewhere ({@link level}).
   *
   * @param place where these servers are
   * @param forced what cannot wait: there is no bound on the changes, and where a young holder cannot take over, it is
   *   pushed out
   */
  evict(place: Place, rule: Rule, forced: boolean): void {
    const { work, bands } = this;
    const buckets = this.bucketsOf((server) => this.fleet.places[server] === place);
    if (buckets.length === 0) return;
    const maySwap = (bucket: number) => forced || this.maySwap(bucket);
    const mayPush = () => forced || this.isOpen();

    for (const bucket of buckets) {
      const holder = work.holder[bucket];
      // In place of a server that is gone, somebody else can come without pushing the holder out.
      const fits = place === Place.Gone ? bands.lacks(holder) : bands.canTake(holder);
      if (fits && maySwap(bucket)) work.give(bucket, holder, rule);
    }
    const heirs = this.heirs();
    const inherit = (bucket: number) => {
      const heir = heirs.any();
      // Whatever one server has too much, others have too little: the shares add up to the table.
      if (heir === 0) throw new Error('the shares do not add up to the table');
      work.give(bucket, heir, rule);
    };
    for (const bucket of buckets) {
      if (!work.isDone(bucket) && work.isFree(bucket) && mayPush()) inherit(bucket);
    }
    for (const bucket of buckets) {
      if (!work.isDone(bucket) && work.isAged(bucket) && mayPush()) inherit(bucket);
    }
    for (const bucket of buckets) {
      if (work.isDone(bucket) || work.isFree(bucket) || work.isAged(bucket)) continue;
      const holder = work.holder[bucket];
      if (this.serves(holder) && maySwap(bucket)) work.give(bucket, holder, rule);
      else if (forced) inherit(bucket);
    }
    this.holdRest(buckets, { couldSwap: (_, holder) => this.serves(holder) });
  }

  /** Moves new flows among servers that get some until each has its share, or nothing more can be done now. */
  level(rule: (from: number, to: number) => Rule): void {
    const { bands } = this;
    // What one round moves may make room for a swap that there was no room for before.
    while (bands.outside().length > 0 && this.levelOnce(rule)) {}
    const outside = bands.outside();
    if (outside.length === 0) return;
    const lacking = outside.some((server) => bands.lacks(server));
    const buckets = this.bucketsOf(
      (server) => this.serves(server) && (lacking ? bands.canGive(server) : bands.hasTooMany(server)),
    );
    const couldSwap = (from: number, holder: number) =>
      bands.lacks(holder) || (bands.hasTooMany(from) && bands.canTake(holder));
    this.holdRest(buckets, { couldSwap, servers: outside });
  }

  /** @returns whether anything was moved */
  private levelOnce(rule: (from: number, to: number) => Rule): boolean {
    const { work, bands } = this;
    const buckets = this.bucketsOf((server) => this.serves(server) && bands.canGive(server));
    let moved = false;
    const give = (bucket: number, to: number) => {
      work.give(bucket, to, rule(work.newcomer[bucket], to));
      moved = true;
    };
    for (const bucket of buckets) {
      const from = work.newcomer[bucket];
      const holder = work.holder[bucket];
      if (bands.canGive(from) && bands.lacks(holder) && this.maySwap(bucket)) give(bucket, holder);
    }
    for (const bucket of buckets) {
      const from = work.newcomer[bucket];
      const holder = work.holder[bucket];
      if (work.isDone(bucket) || !bands.hasTooMany(from) || !bands.canTake(holder)) continue;
      if (this.maySwap(bucket)) give(bucket, holder);
    }
    const heirs = this.heirs();
    for (const isPossible of [
      (bucket: number) => work.isFree(bucket),
      (bucket: number) => work.isAged(bucket),
    ]) {
      for (const bucket of buckets) {
        const from = work.newcomer[bucket];
        if (work.isDone(bucket) || !bands.hasTooMany(from)) continue;
        if (!isPossible(bucket) || !this.isOpen()) continue;
        const heir = heirs.any();
        if (heir === 0) break;
        give(bucket, heir);
      }
      for (const bucket of buckets) {
        const from = work.newcomer[bucket];
        if (work.isDone(bucket) || !bands.canGive(from)) continue;
        if (!isPossible(bucket) || !this.isOpen()) continue;
        const heir = heirs.lacker();
        if (heir === 0) break;
        give(bucket, heir);
      }
    }
    return moved;
  }

  /** Buckets that are not done, with such a newcomer; the oldest first. */
  private bucketsOf(from: (server: number) => boolean): Uint32Array {
    const { work, bands } = this;
    const gives = new Uint8Array(bands.has.length);
    let total = 0;
    for (let server = 0; server < gives.length; server++) {
      if (bands.has[server] === 0 || !from(server)) continue;
      gives[server] = 1;
      total += bands.has[server];
    }
    const found = new Uint32Array(total);
    if (total === 0) return found;
    let count = 0;
    for (let bucket = 0; bucket < work.buckets; bucket++) {
      if (gives[work.newcomer[bucket]] === 1 && !work.isDone(bucket)) found[count++] = bucket;
    }
    return oldestFirst(found.subarray(0, count), work.changedAt);
  }

  private serves(server: number): boolean {
    return this.fleet.places[server] === Place.Serves;
  }

  private heirs(): Heirs {
    return new Heirs(this.bands, Math.imul(this.seed, 31) + this.rounds++);
  }

  /** Whether the bound leaves room for one more bucket. */
  private isOpen(): boolean {
    return this.work.recent < this.limit;
  }

  /** A bucket that was changed in the last minute counts already, and a swap does no harm. */
  private maySwap(bucket: number): boolean {
    return this.isOpen() || this.work.isRecent(bucket);
  }

  /**
   * Tells why those of the buckets that were not done were not.
   * @param servers who waits; default: whoever gets new flows of them
   */
  private holdRest(buckets: Uint32Array, { couldSwap, servers }: HoldOptions): void {
    const { work, settings } = this;
    const newcomers = new Set<number>();
    const held = { byLimit: 0, byAge: 0, agedAt: Number.POSITIVE_INFINITY };
    for (const bucket of buckets) {
      if (work.isDone(bucket)) continue;
      const from = work.newcomer[bucket];
      newcomers.add(from);
      if (work.isFree(bucket) || work.isAged(bucket) || couldSwap(from, work.holder[bucket])) held.byLimit++;
      else {
        held.byAge++;
        held.agedAt = Math.min(held.agedAt, work.changedAt[bucket] + settings.minHolderAge);
      }
    }
    if (newcomers.size > 0) this.held.push({ ...held, servers: servers ?? [...newcomers] });
  }
}

interface HoldOptions {
  /** Whether newcomer and holder could change places, if there were no bound. */
  readonly couldSwap: (from: number, holder: number) => boolean;
  readonly servers?: readonly number[];
}

/** Moves that wait. */
export interface Held {
  /** Who should have more or fewer buckets. */
  readonly servers: readonly number[];
  /** Buckets that could be moved if there were no bound on the changes in a minute. */
  readonly byLimit: number;
  /** Buckets whose holder is too young to be pushed out. */
  readonly byAge: number;
  /** When the first of those is old enough; infinite without any. */
  readonly agedAt: number;
}
