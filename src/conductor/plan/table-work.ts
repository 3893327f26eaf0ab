import { newSlots } from '../../table/forwarding-table.js';
import { type Fleet, Place } from './fleet.js';
import { MoveLog } from './move-log.js';
import { writeRow } from './rows.js';
import type { BalanceSettings, MoveKind, PlannerState, PlanStep, Rule } from './types.js';

/** Planned changes are bounded by what happened in the last so many seconds. */
export const WINDOW = 60;

const Touched = { No: 0, HolderLeft: 1, NewcomerChanged: 2 } as const;

/**
 * The table of one planning step while it is being changed: per bucket the numbers of its newcomer and its holder, and
 * what was done to it.
 */
export class TableWork {
  readonly buckets: number;
  readonly newcomer: Uint32Array;
  /** 0 = nobody. */
  readonly holder: Uint32Array;
  /** By server: in how many buckets it gets new flows. */
  readonly has: Uint32Array;
  /** When each bucket was changed last before this step; never in the future. */
  readonly changedAt: Uint32Array;
  /** How many buckets were changed in the last {@link WINDOW} seconds, those of this step included. */
  recent = 0;
  readonly log: MoveLog;
  private readonly touched: Uint8Array;

  /** Makes known to the fleet whoever stands in the table. */
  constructor(
    private readonly state: PlannerState,
    private readonly fleet: Fleet,
    private readonly settings: BalanceSettings,
    private readonly step: PlanStep,
  ) {
    const buckets = state.slots.length / 2;
    this.buckets = buckets;
    this.newcomer = new Uint32Array(buckets);
    this.holder = new Uint32Array(buckets);
    this.touched = new Uint8Array(buckets);
    this.readSlots();
    this.has = new Uint32Array(fleet.size);
    for (let bucket = 0; bucket < buckets; bucket++) this.has[this.newcomer[bucket]]++;
    this.changedAt = notAfter(state.changedAt, step.now);
    const opened = step.now - WINDOW;
    for (let bucket = 0; bucket < buckets; bucket++) if (this.changedAt[bucket] > opened) this.recent++;
    this.log = new MoveLog(fleet);
  }

  /** Whether the bucket was changed in the last {@link WINDOW} seconds or in this step. */
  isRecent(bucket: number): boolean {
    return this.touched[bucket] !== Touched.No || this.changedAt[bucket] > this.step.now - WINDOW;
  }

  /** Whether its newcomer was changed in this step: once is enough. */
  isDone(bucket: number): boolean {
    return this.touched[bucket] === Touched.NewcomerChanged;
  }

  /** Whether its holder has kept its old flows for long enough to be pushed out by a planned change. */
  isAged(bucket: number): boolean {
    return this.step.now - this.changedAt[bucket] >= this.settings.minHolderAge;
  }

  /** Whether the newcomer changes without pushing anybody out. */
  isFree(bucket: number): boolean {
    const { places } = this.fleet;
    return places[this.holder[bucket]] === Place.Gone || places[this.newcomer[bucket]] === Place.Gone;
  }

  /** New flows of a bucket go to another server. The one that got them becomes holder, if it still may have any. */
  give(bucket: number, to: number, rule: Rule): void {
    const from = this.newcomer[bucket];
    this.log.add(rule, this.exchange(bucket, to), from, to);
    this.newcomer[bucket] = to;
    this.has[from]--;
    this.has[to]++;
    this.touch(bucket, Touched.NewcomerChanged);
  }

  /** Takes holders that are gone out of their slots. */
  clearGone(): void {
    const { places } = this.fleet;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const holder = this.holder[bucket];
      if (holder === 0 || places[holder] !== Place.Gone) continue;
      this.holder[bucket] = 0;
      this.touch(bucket, Touched.HolderLeft);
      this.log.add('gone', 'clear', holder, 0);
    }
  }

  /** The next time at which a bucket is no longer recent. */
  windowOpensAt(): number {
    const { changedAt, step } = this;
    let oldest = step.now;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const time = changedAt[bucket];
      if (time > step.now - WINDOW && time < oldest) oldest = time;
    }
    return oldest + WINDOW;
  }

  /** Numbers of the changed buckets, ascending. */
  changed(): Uint32Array {
    const changed = new Uint32Array(this.buckets);
    let count = 0;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      if (this.touched[bucket] !== Touched.No) changed[count++] = bucket;
    }
    return changed.slice(0, count);
  }

  /** The state after the step. What did not change is shared with the state before. */
  stateWith(changed: Uint32Array, corrections: PlannerState['corrections']): PlannerState {
    const { state, fleet, changedAt } = this;
    if (changed.length === 0) {
      if (corrections === state.corrections && changedAt === state.changedAt) return state;
      return { ...state, changedAt, corrections };
    }
    const slots = newSlots(this.buckets);
    slots.set(state.slots);
    const times = changedAt.slice();
    for (const bucket of changed) {
      const newcomer = fleet.dips[this.newcomer[bucket]];
      const holder = fleet.dips[this.holder[bucket]];
      writeRow(this.settings.scheme, slots, bucket, newcomer, holder);
      times[bucket] = this.step.now;
    }
    return { version: state.version + 1, slots, changedAt: times, corrections };
  }

  /** As `newcomerOf` and `holderOf` say, in one go. */
  private readSlots(): void {
    const { slots } = this.state;
    const { fleet, newcomer, holder } = this;
    const { scheme } = this.settings;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const first = fleet.numberOf(slots[2 * bucket]);
      const second = scheme === 'single' ? 0 : fleet.numberOf(slots[2 * bucket + 1]);
      const switched = scheme === 'switched' && second !== 0;
      newcomer[bucket] = switched ? second : first;
      holder[bucket] = switched ? first : second;
    }
  }

  /** Sets the holder for a newcomer that is about to come. */
  private exchange(bucket: number, to: number): MoveKind {
    const { places } = this.fleet;
    const from = this.newcomer[bucket];
    const holder = this.holder[bucket];
    if (this.settings.scheme === 'single') return 'move';
    if (places[from] === Place.Gone) {
      // Nothing is kept of it: a holder stays where it is, or moves up.
      if (holder === to || places[holder] === Place.Gone) this.holder[bucket] = 0;
      return 'move';
    }
    this.holder[bucket] = from;
    if (holder === to) return 'swap';
    return places[holder] === Place.Gone ? 'handover' : 'replace';
  }

  private touch(bucket: number, touched: number): void {
    if (!this.isRecent(bucket)) this.recent++;
    this.touched[bucket] = touched;
  }
}

/** A clock that once ran ahead must not make buckets young for ever. Copies only when there is something to correct. */
function notAfter(times: Uint32Array, now: number): Uint32Array {
  for (let at = 0; at < times.length; at++) {
    if (times[at] > now) return times.map((time) => Math.min(time, now));
  }
  return times;
}
