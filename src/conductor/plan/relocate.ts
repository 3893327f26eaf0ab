import { randomUint32, shuffle } from '../../table/random.js';
import { type Fleet, Place } from './fleet.js';
import { oldestFirst } from './order.js';
import { repeatNumbers } from './rows.js';
import type { TableWork } from './table-work.js';
import type { BalanceSettings, Rule } from './types.js';

/**
 * Takes new flows of buckets away from servers that have too many of them, and gives them to those that have too few,
 * in the order of what it costs established flows: first where newcomer and holder only change places, then where there
 * is no holder to push out, and last where the holder has been one for long. Among equals, the bucket that was changed
 * longest ago comes first.
 *
 * Source: "Unimog - Cloudflare's edge load balancer" (2020), the two paragraphs on updating forwarding tables.
 */

export interface RelocateOptions {
  /** Whose buckets: all those with such a newcomer, as long as it has more than its target. */
  readonly from: (server: number) => boolean;
  readonly rule: (from: number, to: number) => Rule;
  /**
   * What cannot wait: no bound on the changes, and the holder's age does not count where nobody else can take over.
   */
  readonly forced: boolean;
  /**
   * Where the holder is too young to be pushed out, it takes over even when it has enough: that breaks nothing, and what
   * it has too much goes elsewhere.
   */
  readonly beyondTarget: boolean;
}

/** What could not be done, by server that should have fewer buckets. */
export interface Held {
  /** Too young a holder stands in the way. */
  readonly byAge: Map<number, { buckets: number; possibleAt: number }>;
  /** Too much has changed in the last minute. */
  readonly byLimit: Map<number, number>;
}

export class Relocation {
  readonly held: Held = { byAge: new Map(), byLimit: new Map() };
  private readonly limit: number;
  private rounds = 0;

  constructor(
    private readonly work: TableWork,
    private readonly fleet: Fleet,
    private readonly target: Uint32Array,
    private readonly settings: BalanceSettings,
    private readonly seed: number,
  ) {
    this.limit = Math.max(1, Math.floor(settings.maxChangePerMinute * work.buckets));
  }

  relocate(options: RelocateOptions): void {
    const { work, fleet, target } = this;
    const buckets = this.candidates(options.from);
    if (buckets.length === 0) return;
    const give = (bucket: number, to: number) =>
      work.give(bucket, to, options.rule(work.newcomer[bucket], to));

    for (const bucket of buckets) {
      const holder = work.holder[bucket];
      if (this.wants(holder) && this.may(bucket, options)) give(bucket, holder);
    }
    const heirs = this.heirs();
    const isFree = (bucket: number) =>
      fleet.places[work.holder[bucket]] === Place.Gone || fleet.places[work.newcomer[bucket]] === Place.Gone;
    for (const bucket of buckets) {
      if (isFree(bucket) && this.may(bucket, options)) give(bucket, heirs());
    }
    const isAged = (bucket: number) => work.age(bucket) >= this.settings.minHolderAge;
    for (const bucket of buckets) {
      if (isAged(bucket) && this.may(bucket, options)) give(bucket, heirs());
    }
    for (const bucket of buckets) {
      if (!this.may(bucket, options)) continue;
      const holder = work.holder[bucket];
      if (options.beyondTarget && fleet.places[holder] === Place.Serves) give(bucket, holder);
      else if (options.forced) give(bucket, heirs());
    }
    for (const bucket of buckets) {
      const from = work.newcomer[bucket];
      if (work.isDone(bucket) || work.has[from] <= target[from]) continue;
      if (this.isOpen(bucket)) this.holdByAge(bucket);
      else this.held.byLimit.set(from, (this.held.byLimit.get(from) ?? 0) + 1);
    }
  }

  /** The oldest first. */
  private candidates(from: (server: number) => boolean): Uint32Array {
    const { work, target, fleet } = this;
    const gives = Uint8Array.from({ length: fleet.size }, (_, server) =>
      work.has[server] > target[server] && from(server) ? 1 : 0,
    );
    const found = new Uint32Array(work.buckets);
    let count = 0;
    for (let bucket = 0; bucket < work.buckets; bucket++) {
      if (gives[work.newcomer[bucket]] === 1 && !work.isDone(bucket)) found[count++] = bucket;
    }
    return oldestFirst(found.subarray(0, count), work.changedAt);
  }

  private wants(server: number): boolean {
    return this.work.has[server] < this.target[server];
  }

  /** Whether this bucket may be moved now: not yet, from somebody with too many, within the bound. */
  private may(bucket: number, { forced }: RelocateOptions): boolean {
    const { work, target } = this;
    const from = work.newcomer[bucket];
    return !work.isDone(bucket) && work.has[from] > target[from] && (forced || this.isOpen(bucket));
  }

  /** A bucket that was changed in the last minute is one of those that the bound counts already. */
  private isOpen(bucket: number): boolean {
    return this.work.recent < this.limit || this.work.isRecent(bucket);
  }

  /**
   * Who takes over next: in a random order in which each server comes as often as it lacks buckets, so that wherever the
   * order is cut off, each has got in proportion.
   */
  private heirs(): () => number {
    const { work, target } = this;
    const lacking = target.map((wanted, server) => Math.max(0, wanted - work.has[server]));
    const order = repeatNumbers(lacking);
    // Rounds and steps differ, with the same seed.
    shuffle(order, randomUint32(this.seed ^ this.rounds++)());
    let next = 0;
    return () => {
      // As long as somebody has too many, somebody has too few: targets add up to the table.
      while (next < order.length && !this.wants(order[next])) next++;
      if (next === order.length) throw new Error('the targets do not add up to the table');
      return order[next++];
    };
  }

  private holdByAge(bucket: number): void {
    const { work, settings } = this;
    const from = work.newcomer[bucket];
    const possibleAt = work.changedAt[bucket] + settings.minHolderAge;
    const held = this.held.byAge.get(from);
    if (held === undefined) this.held.byAge.set(from, { buckets: 1, possibleAt });
    else {
      held.buckets++;
      held.possibleAt = Math.min(held.possibleAt, possibleAt);
    }
  }
}
