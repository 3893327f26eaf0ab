/**
 * The connections of a data center, as a fluid: real numbers of connections, which are what one would count on average
 * over many days with the same events. Lifetimes of a class are exponentially distributed, so that of `n` connections
 * `n * exp(-t / lifetime)` are left after `t` seconds, however old they were.
 */

export interface TrafficClass {
  readonly name: string;
  /** Mean lifetime in seconds. */
  readonly lifetime: number;
  /** New connections per second, for each unit of capacity, on the average of the day. */
  readonly perSecond: number;
  /** Packets per second from the client, of one connection. */
  readonly packets: number;
  /** Share of all CPU time that the class uses, on the average of the day. */
  readonly cpuShare: number;
}

export const CLASSES: readonly TrafficClass[] = [
  { name: 'request', lifetime: 1, perSecond: 1000, packets: 10, cpuShare: 0.45 },
  { name: 'page', lifetime: 30, perSecond: 100, packets: 2, cpuShare: 0.3 },
  { name: 'stream', lifetime: 600, perSecond: 1, packets: 8, cpuShare: 0.15 },
  { name: 'websocket', lifetime: 3 * 3600, perSecond: 0.2, packets: 0.1, cpuShare: 0.07 },
  { name: 'day-long', lifetime: 24 * 3600, perSecond: 0.025, packets: 0.1, cpuShare: 0.03 },
];

/** CPU load of a data center without faults, on the average of the day. */
export const MEAN_LOAD = 0.5;

const DAY = 24 * 3600;
/** So many days before the first second, the number of connections of every class follows the curve of the day. */
const DAYS_BEFORE = 6;

/** Activity relative to the average of the day: least at 04:30, most at 20:00. @param seconds since midnight */
export function activity(seconds: number): number {
  const hour = (seconds / 3600) % 24;
  const wave = (peak: number, period: number) => Math.cos((2 * Math.PI * (hour - peak)) / period);
  return 1 + 0.42 * wave(18, 24) + 0.12 * wave(20.5, 12);
}

/** How many connections of each class live, arrive and stay, step by step. */
export class Traffic {
  readonly #classes: readonly TrafficClass[];
  readonly #alive: Float64Array[];
  readonly #arriving: Float64Array[];
  /** Of the connections of a class, the share that lives through a step. */
  readonly #kept: Float64Array;
  readonly #step: number;

  /**
   * @param capacity of all servers that the traffic is meant for
   * @param start in seconds since midnight
   * @param step in seconds
   */
  constructor(
    capacity: number,
    start: number,
    step: number,
    steps: number,
    classes: readonly TrafficClass[] = CLASSES,
  ) {
    this.#classes = classes;
    this.#step = step;
    this.#kept = Float64Array.from(classes, ({ lifetime }) => Math.exp(-step / lifetime));
    this.#alive = classes.map(() => new Float64Array(steps + 1));
    this.#arriving = classes.map(() => new Float64Array(steps + 1));
    const before = Math.round((DAYS_BEFORE * DAY) / step);
    for (const [index, { perSecond, lifetime }] of classes.entries()) {
      let alive = capacity * perSecond * lifetime;
      for (let at = -before; at <= steps; at++) {
        const rate = capacity * perSecond * activity(start + at * step + DAYS_BEFORE * DAY);
        if (at >= 0) {
          this.#alive[index][at] = alive;
          this.#arriving[index][at] = rate * step;
        }
        alive = alive * this.#kept[index] + rate * lifetime * (1 - this.#kept[index]);
      }
    }
  }

  get classes(): readonly TrafficClass[] {
    return this.#classes;
  }

  /** Connections that live at the beginning of a step. */
  alive(kind: number, at: number): number {
    return this.#alive[kind][at];
  }

  /** Connections that begin in a step. */
  arriving(kind: number, at: number): number {
    return this.#arriving[kind][at];
  }

  /** Of the connections that begin in a step, those that live at its end. */
  staying(kind: number, at: number): number {
    return this.#alive[kind][at + 1] - this.#alive[kind][at] * this.#kept[kind];
  }

  /** Of the connections that live at one step, the share that does at a later one. */
  kept(kind: number, steps: number): number {
    return steps === 1 ? this.#kept[kind] : Math.exp((-steps * this.#step) / this.#classes[kind].lifetime);
  }

  /** CPU time per second of one connection, in units of capacity. */
  cost(kind: number): number {
    const { cpuShare, perSecond, lifetime } = this.#classes[kind];
    return (MEAN_LOAD * cpuShare) / (perSecond * lifetime);
  }
}
