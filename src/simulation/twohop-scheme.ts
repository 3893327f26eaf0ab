import {
  type BalanceSettings,
  initialState,
  type MoveKind,
  type Plan,
  type PlannedServer,
  type PlannerState,
  type PlanStep,
  plan,
  type Rule,
  type Standing,
} from '../conductor/plan/index.js';
import type { Condition } from './condition.js';
import { STEP } from './history.js';
import { newTally, type Scheme, type Tally } from './scheme.js';
import type { Traffic } from './traffic.js';

/** The planner's signature; tests put a worse one in its place. */
export type Planner = (state: PlannerState, settings: BalanceSettings, step: PlanStep, seed?: number) => Plan;

export interface TwohopOptions {
  readonly buckets: number;
  readonly settings: BalanceSettings;
  readonly seed: number;
  readonly planner?: Planner;
}

export interface ChangeCount {
  readonly rule: Rule;
  readonly kind: MoveKind;
  readonly buckets: number;
}

/** Unix time of the first step; the planner wants such times, and none near 0. */
const EPOCH = 1_700_000_000;

/**
 * Buckets with two slots, kept by the real planner. Of each bucket, the connections of each class on its first and its
 * second hop are followed exactly; they are brought up to date when the bucket changes.
 */
export class TwohopScheme implements Scheme {
  readonly name = 'Twohop';
  readonly tally: Tally;
  readonly #traffic: Traffic;
  readonly #options: TwohopOptions;
  readonly #kinds: number;
  /** DIPs of the servers follow one another. */
  readonly #firstDip: number;
  #state: PlannerState;
  /** Connections on the first and the second hop of each bucket by class, at the beginning of step `#settledAt`. */
  readonly #onFirst: Float64Array;
  readonly #onSecond: Float64Array;
  readonly #settledAt: Uint32Array;
  /** Sums of the above as of now: by server and class; and on all second hops by class. */
  readonly #alive: Float64Array;
  readonly #redirected: Float64Array;
  /** Server of each bucket's first hop: what a table with one slot would be. */
  readonly newcomers: Uint16Array;
  /** Buckets whose first hop each server is. */
  readonly #firsts: Uint32Array;
  /** Packets that took the second hop, and all, since they were counted anew. */
  readonly #packets = { redirected: 0, all: 0 };
  readonly #changes = new Map<string, ChangeCount>();
  #plans = 0;
  #nextAt: number | null = null;

  constructor(traffic: Traffic, condition: Condition, options: TwohopOptions) {
    this.#traffic = traffic;
    this.#options = options;
    this.#kinds = traffic.classes.length;
    this.tally = newTally(this.#kinds);
    this.#firstDip = condition.servers[0].dip;
    const { buckets, settings, seed } = options;
    this.#state = initialState({ buckets, settings, servers: planned(condition), seed });
    this.#onFirst = new Float64Array(buckets * this.#kinds);
    this.#onSecond = new Float64Array(buckets * this.#kinds);
    this.#settledAt = new Uint32Array(buckets);
    this.#alive = new Float64Array(condition.servers.length * this.#kinds);
    this.#redirected = new Float64Array(this.#kinds);
    this.#firsts = new Uint32Array(condition.servers.length);
    this.newcomers = new Uint16Array(buckets);
    for (let bucket = 0; bucket < buckets; bucket++) {
      const server = this.#hop(bucket, 0);
      this.#firsts[server]++;
      this.newcomers[bucket] = server;
      for (let kind = 0; kind < this.#kinds; kind++) {
        this.#onFirst[bucket * this.#kinds + kind] = traffic.alive(kind, 0) / buckets;
        this.#alive[server * this.#kinds + kind] += traffic.alive(kind, 0) / buckets;
      }
    }
  }

  /** Calls of the planner so far. */
  get plans(): number {
    return this.#plans;
  }

  /** Something waits in the planner and may be possible now. */
  isDue(at: number): boolean {
    return this.#nextAt !== null && EPOCH + at * STEP >= this.#nextAt;
  }

  /** Changed buckets so far, by rule and kind, most first. */
  changes(): ChangeCount[] {
    return [...this.#changes.values()].sort((a, b) => b.buckets - a.buckets);
  }

  /** Forgets what has been counted so far; connections and table stay. */
  countFromHere(): void {
    this.tally.byTable.fill(0);
    this.tally.byServer.fill(0);
    this.#changes.clear();
    this.#plans = 0;
  }

  learn(condition: Condition, at: number): void {
    this.balance(condition, at, null);
  }

  /** @param loads by server name; null: this is no balance step */
  balance(condition: Condition, at: number, loads: ReadonlyMap<string, number> | null): void {
    const { planner = plan, settings, seed } = this.#options;
    const now = EPOCH + at * STEP;
    const next = planner(this.#state, settings, { now, servers: planned(condition), loads }, seed);
    this.#plans++;
    this.#nextAt = next.nextAt;
    for (const bucket of next.changed) this.#change(bucket, next.state, condition, at);
    this.#state = next.state;
    for (const { rule, kind, buckets } of next.moves) {
      const key = `${rule} ${kind}`;
      const before = this.#changes.get(key)?.buckets ?? 0;
      this.#changes.set(key, { rule, kind, buckets: before + buckets });
    }
  }

  lose(server: number, at: number): void {
    const dip = this.#firstDip + server;
    const { slots } = this.#state;
    for (let bucket = 0; 2 * bucket < slots.length; bucket++) {
      const isFirst = slots[2 * bucket] === dip;
      if (!isFirst && slots[2 * bucket + 1] !== dip) continue;
      this.#settle(bucket, at);
      const first = this.#hop(bucket, 0);
      for (let kind = 0; kind < this.#kinds; kind++) {
        const cell = bucket * this.#kinds + kind;
        this.tally.byServer[kind] += isFirst ? this.#onFirst[cell] : this.#onSecond[cell];
        // Whoever connects again comes to the first hop; if that is what failed, until the table changes in vain.
        if (!isFirst) this.#fold(cell, server, first, kind);
      }
    }
  }

  advance(condition: Condition, at: number): void {
    const traffic = this.#traffic;
    const buckets = this.#settledAt.length;
    for (let kind = 0; kind < this.#kinds; kind++) {
      const kept = traffic.kept(kind, 1);
      const staying = traffic.staying(kind, at) / buckets;
      const arriving = traffic.arriving(kind, at) / buckets;
      for (let server = 0; server < this.#firsts.length; server++) {
        const cell = server * this.#kinds + kind;
        this.#alive[cell] = this.#alive[cell] * kept + this.#firsts[server] * staying;
        if (condition.working[server] === 0) this.tally.byServer[kind] += this.#firsts[server] * arriving;
      }
      const { packets, lifetime } = traffic.classes[kind];
      // Nobody comes to a second hop: in a step, those there only become fewer.
      this.#packets.redirected += packets * this.#redirected[kind] * lifetime * (1 - kept);
      this.#packets.all += packets * STEP * 0.5 * (traffic.alive(kind, at) + traffic.alive(kind, at + 1));
      this.#redirected[kind] *= kept;
    }
  }

  alive(server: number, kind: number): number {
    return this.#alive[server * this.#kinds + kind];
  }

  /** Packets since this was asked last. */
  takePackets(): { redirected: number; all: number } {
    const packets = { ...this.#packets };
    this.#packets.redirected = 0;
    this.#packets.all = 0;
    return packets;
  }

  /** Connections of a class on the second hops of all buckets. */
  onSecondHops(kind: number): number {
    return this.#redirected[kind];
  }

  /**
   * Connections counted bucket by bucket, by server and class, and on second hops by class: the long way to what
   * {@link alive} and {@link onSecondHops} give.
   */
  recount(at: number): { alive: Float64Array; onSecondHops: Float64Array } {
    const sums = new Float64Array(this.#alive.length);
    const onSecondHops = new Float64Array(this.#kinds);
    for (let bucket = 0; bucket < this.#settledAt.length; bucket++) {
      this.#settle(bucket, at);
      for (let kind = 0; kind < this.#kinds; kind++) {
        const cell = bucket * this.#kinds + kind;
        sums[this.#hop(bucket, 0) * this.#kinds + kind] += this.#onFirst[cell];
        if (this.#state.slots[2 * bucket + 1] === 0) continue;
        sums[this.#hop(bucket, 1) * this.#kinds + kind] += this.#onSecond[cell];
        onSecondHops[kind] += this.#onSecond[cell];
      }
    }
    return { alive: sums, onSecondHops };
  }

  /** Gives the connections of a bucket to the slots of its next row. */
  #change(bucket: number, next: PlannerState, condition: Condition, at: number): void {
    this.#settle(bucket, at);
    const { slots } = this.#state;
    const before = [slots[2 * bucket], slots[2 * bucket + 1]];
    const first = next.slots[2 * bucket];
    const second = next.slots[2 * bucket + 1];
    const newcomer = this.#index(first);
    this.#firsts[this.#index(before[0])]--;
    this.#firsts[newcomer]++;
    this.newcomers[bucket] = newcomer;
    for (let kind = 0; kind < this.#kinds; kind++) {
      const cell = bucket * this.#kinds + kind;
      const counts = [this.#onFirst[cell], this.#onSecond[cell]];
      this.#redirected[kind] -= counts[1];
      let [onFirst, onSecond] = [0, 0];
      for (const slot of [0, 1]) {
        if (before[slot] === 0) continue;
        const server = this.#index(before[slot]);
        const works = condition.working[server] === 1;
        if (works && before[slot] === second) {
          onSecond += counts[slot];
          continue;
        }
        onFirst += counts[slot];
        if (before[slot] === first) continue;
        // Those of a server that failed were lost with it; they connect again where they can now.
        if (works) this.tally.byTable[kind] += counts[slot];
        this.#alive[server * this.#kinds + kind] -= counts[slot];
        this.#alive[newcomer * this.#kinds + kind] += counts[slot];
      }
      this.#onFirst[cell] = onFirst;
      this.#onSecond[cell] = onSecond;
      this.#redirected[kind] += onSecond;
    }
  }

  /** The connections on the second hop come to the first. */
  #fold(cell: number, second: number, first: number, kind: number): void {
    const moved = this.#onSecond[cell];
    this.#onFirst[cell] += moved;
    this.#onSecond[cell] = 0;
    this.#redirected[kind] -= moved;
    this.#alive[second * this.#kinds + kind] -= moved;
    this.#alive[first * this.#kinds + kind] += moved;
  }

  /** Brings the connections of a bucket up to the beginning of step `at`: some ended, new ones came to the first hop. */
  #settle(bucket: number, at: number): void {
    const since = this.#settledAt[bucket];
    if (since === at) return;
    this.#settledAt[bucket] = at;
    for (let kind = 0; kind < this.#kinds; kind++) {
      const cell = bucket * this.#kinds + kind;
      const kept = this.#traffic.kept(kind, at - since);
      const came = this.#traffic.alive(kind, at) - this.#traffic.alive(kind, since) * kept;
      this.#onFirst[cell] = this.#onFirst[cell] * kept + came / this.#settledAt.length;
      this.#onSecond[cell] *= kept;
    }
  }

  #hop(bucket: number, slot: 0 | 1): number {
    return this.#index(this.#state.slots[2 * bucket + slot]);
  }

  #index(dip: number): number {
    return dip - this.#firstDip;
  }
}

/** The servers as the conductor knows them. */
function planned(condition: Condition): PlannedServer[] {
  return condition.servers
    .map(({ name, dip }, server) => ({
      name,
      dip,
      weight: condition.weight[server],
      pool: 'default',
      standing: standingOf(condition, server),
    }))
    .filter((_, server) => condition.present[server] === 1);
}

/** One that failed is down, not gone: nobody can tell from outside whether its connections live. */
function standingOf(condition: Condition, server: number): Standing {
  if (condition.down[server] === 1) return 'down';
  return condition.drained[server] === 1 ? 'drained' : 'in';
}
