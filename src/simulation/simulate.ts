import { bucketsFor, settingsOf } from '../conductor/plan/index.js';
import type { BalanceSettings } from '../conductor/plan/types.js';
import { Condition } from './condition.js';
import { buildServers, type SimulatedServer } from './data-center.js';
import {
  ecmpPlacement,
  flowHashes,
  HashScheme,
  maglevPlacement,
  rendezvousPlacement,
} from './hash-scheme.js';
import { buildHistory, type HistoryEvent, STEP } from './history.js';
import { Load, MEASURED_SECONDS } from './load.js';
import { Meter } from './meter.js';
import type { Scheme } from './scheme.js';
import { Traffic } from './traffic.js';
import { type ChangeCount, type Planner, TwohopScheme } from './twohop-scheme.js';

/** A day of a data center, with the real planner next to schemes without memory, under the same history. */

export interface SimulationOptions {
  readonly servers: number;
  /** From midnight on. */
  readonly hours: number;
  readonly seed: number;
  /** Default: twice what the planner wants at least for so many servers. */
  readonly buckets?: number;
  /** Flow groups of the schemes without memory. */
  readonly groups?: number;
  readonly settings?: Partial<BalanceSettings>;
  /** Between two balance steps in seconds: a multiple of a minute. */
  readonly balanceInterval?: number;
  /** Instead of the real one. */
  readonly planner?: Planner;
  /** Share of the work that is done. */
  readonly onProgress?: (done: number) => void;
}

/** The hour before midnight: the control loop has learned what servers can do, and nothing is counted yet. */
const LEARNING_SECONDS = 3600;
/** After anything that happens to a server, so long it does not count as settled. */
export const SETTLING_SECONDS = 600;
const DEFAULT_GROUPS = 2 ** 20;
/** Between two points of a curve. */
const CURVE_SECONDS = 300;
/** Servers whose loads are recorded one by one, for a drawing. */
const DRAWN_SERVERS = 60;

/** As cluster.yaml has them by default. */
export const DEFAULT_SETTINGS: BalanceSettings = settingsOf({ kind: 'tcp' });

export interface SchemeResult {
  readonly name: string;
  /** Connections broken because a table or a list of servers changed, by class. */
  readonly brokenByTable: readonly number[];
  /** Connections lost with their server, by class. */
  readonly lostWithServer: readonly number[];
  /** Share of the server-minutes of settled servers within 5 % of their mean load. */
  readonly balanced: number;
  /** The same of all servers that get new flows, settled or not. */
  readonly balancedOfAll: number;
  /** 99th percentile and largest of the deviations of settled servers. */
  readonly deviation99: number;
  readonly largestDeviation: number;
}

export interface Curve {
  readonly name: string;
  /** Hours since midnight, and the value. */
  readonly points: readonly (readonly [number, number])[];
}

export interface ServerCurve extends Curve {
  readonly generation: string;
}

export interface SimulationResult {
  readonly servers: number;
  readonly added: number;
  readonly hours: number;
  readonly seed: number;
  readonly buckets: number;
  readonly groups: number;
  readonly balanceInterval: number;
  readonly settings: BalanceSettings;
  /** Events by kind. */
  readonly events: Readonly<Record<string, number>>;
  readonly wideProblems: number;
  readonly classes: readonly {
    readonly name: string;
    readonly lifetime: number;
    readonly begun: number;
    readonly alive: number;
  }[];
  /** Twohop first. */
  readonly schemes: readonly SchemeResult[];
  /** Share of packets that take the second hop: of the whole day, and of the minute with most. */
  readonly secondHop: { readonly mean: number; readonly largest: number };
  readonly changes: readonly ChangeCount[];
  readonly plans: number;
  readonly curves: {
    readonly secondHop: Curve;
    /** 99th percentile of the deviations of settled servers, by scheme. */
    readonly deviation: readonly Curve[];
    /** Load of some servers, by scheme. */
    readonly load: Readonly<Record<string, readonly ServerCurve[]>>;
  };
}

/** Names of the schemes; the first two are kept by the planner. */
export const SCHEMES = {
  twohop: 'Twohop',
  oneHop: 'Twohop, no second hop',
  rendezvous: 'rendezvous hashing',
  maglev: 'Maglev hashing',
  ecmp: 'ECMP',
} as const;

/** @throws RangeError when an option makes no sense */
export function simulate(options: SimulationOptions): SimulationResult {
  const { servers, hours, seed, onProgress = () => {} } = options;
  if (!(servers >= 10) || !(hours > 0)) throw new RangeError('simulate: at least 10 servers and some time');
  const buckets = options.buckets ?? (4 * bucketsFor(servers)) / 2;
  const groups = options.groups ?? DEFAULT_GROUPS;
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const balanceInterval = options.balanceInterval ?? 60;
  const added = Math.max(2, Math.round(servers / 50));
  const start = -LEARNING_SECONDS;
  const steps = Math.round((hours * 3600 - start) / STEP);

  const all = buildServers(servers, added, seed);
  const condition = new Condition(all);
  const history = buildHistory(servers, added, start, hours, seed + 2);
  const initialCapacity = all.reduce((sum, { nominal, initial }) => sum + (initial ? nominal : 0), 0);
  const traffic = new Traffic(initialCapacity, start, STEP, steps);
  const load = new Load(traffic, condition, seed + 3);
  const hashes = flowHashes(groups, seed + 4);

  const twohop = new TwohopScheme(traffic, condition, {
    buckets,
    settings,
    seed: seed + 5,
    ...(options.planner === undefined ? {} : { planner: options.planner }),
  });
  // The same table with one slot: whoever keeps it for the others reads it from there.
  const oneHop = new HashScheme(SCHEMES.oneHop, traffic, () => twohop.newcomers, condition);
  const hashed = [
    new HashScheme(SCHEMES.rendezvous, traffic, rendezvousPlacement(hashes), condition),
    new HashScheme(SCHEMES.maglev, traffic, maglevPlacement(hashes), condition),
    new HashScheme(SCHEMES.ecmp, traffic, ecmpPlacement(hashes), condition),
  ];
  const schemes: Scheme[] = [twohop, oneHop, ...hashed];
  const records = new Records(schemes, all);
  let next = 0;

  for (let at = 0; at < steps; at++) {
    const now = at * STEP;
    if (now === LEARNING_SECONDS) {
      twohop.countFromHere();
      for (const { tally } of schemes) {
        tally.byTable.fill(0);
        tally.byServer.fill(0);
      }
    }
    let news = false;
    for (; next < history.length && history[next].at <= now; next++) {
      const event = history[next];
      if (condition.apply(event)) news = true;
      if (event.kind !== 'die' && event.kind !== 'restart') continue;
      for (const scheme of schemes) scheme.lose(event.server, at);
    }
    if (condition.judge(now)) news = true;
    if (news) for (const scheme of schemes) scheme.learn(condition, at);
    else if (twohop.isDue(at)) {
      twohop.learn(condition, at);
      oneHop.learn(condition, at);
    }
    if (now % MEASURED_SECONDS === 0) {
      load.advance();
      const loads = schemes.map((scheme) => load.of(scheme, at));
      if (now >= LEARNING_SECONDS) records.add(now, start, loads, condition, twohop.takePackets());
      if (now % balanceInterval === 0) {
        twohop.balance(condition, at, load.measured(loads[0]));
        oneHop.learn(condition, at);
      }
      onProgress(at / steps);
    }
    for (const scheme of schemes) scheme.advance(condition, at);
  }

  const first = LEARNING_SECONDS / STEP;
  return {
    servers,
    added,
    hours,
    seed,
    buckets,
    groups,
    balanceInterval,
    settings,
    events: countKinds(history),
    wideProblems: condition.wideProblems,
    classes: traffic.classes.map(({ name, lifetime }, kind) => {
      let begun = 0;
      for (let at = first; at < steps; at++) begun += traffic.arriving(kind, at);
      return { name, lifetime, begun, alive: traffic.alive(kind, steps) };
    }),
    schemes: schemes.map((scheme, index) => ({
      name: scheme.name,
      brokenByTable: [...scheme.tally.byTable],
      lostWithServer: [...scheme.tally.byServer],
      ...records.balanceOf(index),
    })),
    secondHop: records.secondHop(),
    changes: twohop.changes(),
    plans: twohop.plans,
    curves: records.curves(),
  };
}

function countKinds(history: readonly HistoryEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of history) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** What is written down, minute by minute. */
class Records {
  readonly #schemes: readonly Scheme[];
  readonly #servers: readonly SimulatedServer[];
  readonly #settled: readonly Meter[];
  readonly #all: readonly Meter[];
  readonly #deviation: [number, number][][];
  readonly #load: [number, number][][][];
  readonly #drawn: readonly number[];
  readonly #secondHop: [number, number][] = [];
  #packets = { redirected: 0, all: 0 };
  #curvePackets = { redirected: 0, all: 0 };
  #secondHopLargest = 0;
  #minutes = 0;

  constructor(schemes: readonly Scheme[], servers: readonly SimulatedServer[]) {
    this.#schemes = schemes;
    this.#servers = servers;
    this.#settled = schemes.map(() => new Meter());
    this.#all = schemes.map(() => new Meter());
    this.#deviation = schemes.map(() => []);
    const initial = servers.filter((server) => server.initial).length;
    const apart = Math.max(1, Math.floor(initial / DRAWN_SERVERS));
    this.#drawn = Array.from({ length: Math.min(DRAWN_SERVERS, initial) }, (_, index) => index * apart);
    this.#load = schemes.map(() => this.#drawn.map(() => []));
  }

  /** @param now seconds since the beginning @param start seconds of the beginning, since midnight */
  add(
    now: number,
    start: number,
    loads: readonly Float64Array[],
    condition: Condition,
    packets: { redirected: number; all: number },
  ): void {
    const hour = (now + start) / 3600;
    const onCurve = now % CURVE_SECONDS === 0;
    if (this.#minutes++ > 0) this.#addPackets(packets, hour, onCurve);
    const serving = [...this.#servers.keys()].filter(
      (server) => condition.serves(server) && condition.working[server] === 1,
    );
    const settled = serving.filter((server) => condition.changedAt[server] <= now - SETTLING_SECONDS);
    for (const [index, load] of loads.entries()) {
      this.#all[index].add(serving.map((server) => load[server]));
      const deviation = this.#settled[index].add(settled.map((server) => load[server]));
      if (!onCurve) continue;
      this.#deviation[index].push([hour, deviation]);
      for (const [place, server] of this.#drawn.entries()) {
        this.#load[index][place].push([hour, load[server]]);
      }
    }
  }

  /** Of the last minute. */
  #addPackets(
    { redirected, all }: { redirected: number; all: number },
    hour: number,
    onCurve: boolean,
  ): void {
    this.#packets.redirected += redirected;
    this.#packets.all += all;
    this.#curvePackets.redirected += redirected;
    this.#curvePackets.all += all;
    this.#secondHopLargest = Math.max(this.#secondHopLargest, redirected / all);
    if (!onCurve) return;
    this.#secondHop.push([hour, this.#curvePackets.redirected / this.#curvePackets.all]);
    this.#curvePackets = { redirected: 0, all: 0 };
  }

  balanceOf(
    index: number,
  ): Pick<SchemeResult, 'balanced' | 'balancedOfAll' | 'deviation99' | 'largestDeviation'> {
    return {
      balanced: this.#settled[index].balanced,
      balancedOfAll: this.#all[index].balanced,
      deviation99: this.#settled[index].percentile(0.99),
      largestDeviation: this.#settled[index].largest,
    };
  }

  secondHop(): SimulationResult['secondHop'] {
    return { mean: this.#packets.redirected / this.#packets.all, largest: this.#secondHopLargest };
  }

  curves(): SimulationResult['curves'] {
    return {
      secondHop: { name: SCHEMES.twohop, points: this.#secondHop },
      deviation: this.#schemes.map(({ name }, index) => ({ name, points: this.#deviation[index] })),
      load: Object.fromEntries(
        this.#schemes.map(({ name }, index) => [
          name,
          this.#drawn.map((server, place) => ({
            name: this.#servers[server].name,
            generation: this.#servers[server].generation,
            points: this.#load[index][place],
          })),
        ]),
      ),
    };
  }
}
