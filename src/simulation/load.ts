import type { Condition } from './condition.js';
import { Draws } from './random.js';
import type { Scheme } from './scheme.js';
import type { Traffic } from './traffic.js';

/** Seconds over which load is measured, as a monitoring system does. */
export const MEASURED_SECONDS = 60;

/** Standard deviation of the CPU cost of a connection, relative to its mean: some downloads are large. */
const COST_SPREAD = 2;
/** Standard deviation of the load that does not come from connections, in shares of the capacity, and its memory. */
const BACKGROUND_SPREAD = 0.004;
const BACKGROUND_MEMORY = 600;
/** Standard deviation of what is measured, relative to what is. */
const MEASUREMENT_ERROR = 0.01;

/**
 * The CPU load of servers, minute by minute. The number of connections is a mean; around it, the load of each server
 * fluctuates as that of random arrivals with random costs does: with the variance of a Poisson number, the memory of the
 * lifetimes (Ornstein and Uhlenbeck's process), averaged over the minute. All schemes meet the same luck.
 */
export class Load {
  readonly #traffic: Traffic;
  readonly #condition: Condition;
  readonly #draws: Draws;
  readonly #errors: Draws;
  /** Luck of each server, by class, and last that of the background; normal with variance 1. */
  readonly #luck: Float64Array;
  readonly #memory: Float64Array;
  /** What averaging over a minute leaves of the variance, by class. */
  readonly #averaged: Float64Array;

  constructor(traffic: Traffic, condition: Condition, seed: number) {
    this.#traffic = traffic;
    this.#condition = condition;
    this.#draws = new Draws(seed);
    this.#errors = new Draws(seed + 1);
    const lifetimes = [...traffic.classes.map(({ lifetime }) => lifetime), BACKGROUND_MEMORY];
    this.#memory = Float64Array.from(lifetimes, (lifetime) => Math.exp(-MEASURED_SECONDS / lifetime));
    this.#averaged = Float64Array.from(lifetimes, (lifetime) => {
      const ratio = lifetime / MEASURED_SECONDS;
      return 2 * ratio * (1 - ratio * (1 - Math.exp(-1 / ratio)));
    });
    this.#luck = new Float64Array(condition.servers.length * lifetimes.length);
    for (let cell = 0; cell < this.#luck.length; cell++) this.#luck[cell] = this.#draws.normal();
  }

  /** The next minute. */
  advance(): void {
    const kinds = this.#memory.length;
    for (let cell = 0; cell < this.#luck.length; cell++) {
      const memory = this.#memory[cell % kinds];
      this.#luck[cell] = memory * this.#luck[cell] + Math.sqrt(1 - memory * memory) * this.#draws.normal();
    }
  }

  /** CPU load of each server in a scheme, as a share of what it can do: 1 is full. */
  of(scheme: Scheme, at: number): Float64Array {
    const { servers, capacity, working, present } = this.#condition;
    const kinds = this.#traffic.classes.length;
    return Float64Array.from(servers, ({ background }, server) => {
      if (working[server] === 0 || present[server] === 0) return 0;
      const luck = server * (kinds + 1);
      let load = background + BACKGROUND_SPREAD * this.#luck[luck + kinds];
      for (let kind = 0; kind < kinds; kind++) {
        const alive = scheme.alive(server, kind, at);
        const variance = alive * (1 + COST_SPREAD ** 2) * this.#averaged[kind];
        const cost = this.#traffic.cost(kind) / capacity[server];
        load += cost * (alive + Math.sqrt(Math.max(0, variance)) * this.#luck[luck + kind]);
      }
      return Math.max(0, load);
    });
  }

  /** What monitoring makes of the loads of the servers that are up and run. */
  measured(loads: Float64Array): Map<string, number> {
    const samples = new Map<string, number>();
    for (const [server, { name }] of this.#condition.servers.entries()) {
      // Drawn for every server, so that the luck of one does not hang on the fate of another.
      const error = 1 + MEASUREMENT_ERROR * this.#errors.normal();
      if (this.#condition.working[server] === 0 || this.#condition.present[server] === 0) continue;
      samples.set(name, loads[server] * error);
    }
    return samples;
  }
}
