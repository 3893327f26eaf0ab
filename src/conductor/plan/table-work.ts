import { newSlots } from '../../table/forwarding-table.js';
import { type Fleet, Place } from './fleet.js';
import { holderOf, newcomerOf, writeRow } from './rows.js';
import type { BalanceSettings, Move, MoveKind, PlannerState, PlanStep, Rule } from './types.js';

const RULES: readonly Rule[] = ['gone', 'health', 'drain', 'join', 'weight', 'balance'];
const KINDS: readonly MoveKind[] = ['swap', 'handover', 'replace', 'move', 'clear'];

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
  /** Buckets that were changed in the last {@link WINDOW} seconds, those of this step included. */
  recent = 0;
  private readonly touched: Uint8Array;
  private readonly counts = new Map<number, number>();

  constructor(
    private readonly state: PlannerState,
    private readonly fleet: Fleet,
    private readonly settings: BalanceSettings,
    private readonly step: PlanStep,
  ) {
    const { scheme } = settings;
    const { slots } = state;
    const buckets = slots.length / 2;
    this.buckets = buckets;
    this.newcomer = new Uint32Array(buckets);
    this.holder = new Uint32Array(buckets);
    this.touched = new Uint8Array(buckets);
    for (let bucket = 0; bucket < buckets; bucket++) {
      this.newcomer[bucket] = fleet.numberOf(newcomerOf(scheme, slots, bucket));
      this.holder[bucket] = fleet.numberOf(holderOf(scheme, slots, bucket));
    }
    this.has = new Uint32Array(fleet.size);
    for (const server of this.newcomer) this.has[server]++;
    this.changedAt = notAfter(state.changedAt, step.now);
    for (const time of this.changedAt) if (time > step.now - WINDOW) this.recent++;
  }

  /** Whether the bucket was changed in the last {@link WINDOW} seconds or in this step. */
  isRecent(bucket: number): boolean {
    return this.touched[bucket] !== Touched.No || this.changedAt[bucket] > this.step.now - WINDOW;
  }

  /** Whether its newcomer was changed in this step: once is enough. */
  isDone(bucket: number): boolean {
    return this.touched[bucket] === Touched.NewcomerChanged;
  }

  /** Seconds since the last change before this step. */
  age(bucket: number): number {
    return this.step.now - this.changedAt[bucket];
  }

  /** New flows of a bucket go to another server. The one that got them becomes holder, if it still may have any. */
  give(bucket: number, to: number, rule: Rule): void {
    const from = this.newcomer[bucket];
    const holder = this.holder[bucket];
    const { places } = this.fleet;
    let kind: MoveKind;
    if (this.settings.scheme === 'single') {
      kind = 'move';
    } else if (places[from] === Place.Gone) {
      // Nothing is kept of it; a holder stays where it is, or moves up.
      kind = 'move';
      if (holder === to || places[holder] === Place.Gone) this.holder[bucket] = 0;
    } else {
      kind = holder === to ? 'swap' : places[holder] === Place.Gone ? 'handover' : 'replace';
      this.holder[bucket] = from;
    }
    this.newcomer[bucket] = to;
    this.has[from]--;
    this.has[to]++;
    this.touch(bucket, Touched.NewcomerChanged);
    this.count(rule, kind, from, to);
  }

  /** Takes holders that are gone out of their slots. */
  clearGone(): void {
    const { places } = this.fleet;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      const holder = this.holder[bucket];
      if (holder === 0 || places[holder] !== Place.Gone) continue;
      this.holder[bucket] = 0;
      this.touch(bucket, Touched.HolderLeft);
      this.count('gone', 'clear', holder, 0);
    }
  }

  /** The earliest time at which a bucket is no longer recent, or `now` when none is. */
  windowOpensAt(): number {
    let oldest = this.step.now + 1;
    for (const time of this.changedAt) {
      if (time > this.step.now - WINDOW && time < oldest) oldest = time;
    }
    return Math.min(oldest, this.step.now) + WINDOW;
  }

  changed(): Uint32Array {
    let size = 0;
    for (const touched of this.touched) if (touched !== Touched.No) size++;
    const changed = new Uint32Array(size);
    let next = 0;
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      if (this.touched[bucket] !== Touched.No) changed[next++] = bucket;
    }
    return changed;
  }

  /** The state after the step. */
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

  moves(): Move[] {
    const { dips } = this.fleet;
    const size = this.fleet.size;
    return [...this.counts]
      .map(([key, buckets]) => ({ key, buckets }))
      .sort((a, b) => a.key - b.key)
      .map(({ key, buckets }) => {
        const pair = key % (size * size);
        const ruleAndKind = (key - pair) / (size * size);
        return {
          rule: RULES[Math.floor(ruleAndKind / KINDS.length)],
          kind: KINDS[ruleAndKind % KINDS.length],
          from: dips[Math.floor(pair / size)],
          to: dips[pair % size],
          buckets,
        };
      });
  }

  private touch(bucket: number, touched: number): void {
    if (!this.isRecent(bucket)) this.recent++;
    this.touched[bucket] = touched;
  }

  private count(rule: Rule, kind: MoveKind, from: number, to: number): void {
    const size = this.fleet.size;
    const ruleAndKind = RULES.indexOf(rule) * KINDS.length + KINDS.indexOf(kind);
    const key = (ruleAndKind * size + from) * size + to;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}

/** A clock that once ran ahead must not make buckets young for ever. Copies only when there is something to correct. */
function notAfter(times: Uint32Array, now: number): Uint32Array {
  for (const time of times) {
    if (time > now) return times.map((value) => Math.min(value, now));
  }
  return times;
}
