import { HealthGate } from '../conductor/health/gate.js';
import type { SimulatedServer } from './data-center.js';
import type { HistoryEvent } from './history.js';

/**
 * A change of health is acted upon when it has been reported for so many seconds; the failed checks before the first
 * report are in it.
 */
export const SETTLE_SECONDS = 20;
const WIDE_PROBLEM = 0.5;
const WIDE_PROBLEM_OVER = 0.3;

/**
 * How each server does at the moment, and what routers and conductor know of it: the inventory, what the operator
 * wants, and health as it comes through the conductor's gate. The same knowledge for all schemes.
 */
export class Condition {
  readonly servers: readonly SimulatedServer[];
  /** 1: it works and keeps its connections, whatever anybody knows. */
  readonly working: Uint8Array;
  /** 1: the inventory has it. */
  readonly present: Uint8Array;
  /** 1: the operator wants no new flows on it. */
  readonly drained: Uint8Array;
  /** 1: the gate says that it is down. */
  readonly down: Uint8Array;
  /** As the operator set it. */
  readonly weight: Float64Array;
  /** As it is. */
  readonly capacity: Float64Array;
  /** Second of the last thing that happened to it, known or not. */
  readonly changedAt: Float64Array;
  /** 1: its health check succeeds, if it works. */
  readonly #checked: Uint8Array;
  readonly #gate = new HealthGate({
    settleSeconds: SETTLE_SECONDS,
    wideProblem: WIDE_PROBLEM,
    wideProblemOver: WIDE_PROBLEM_OVER,
  });
  #judgeAt = 0;
  #wideProblems = 0;
  #wide = false;

  constructor(servers: readonly SimulatedServer[]) {
    this.servers = servers;
    this.working = Uint8Array.from(servers, () => 1);
    this.#checked = Uint8Array.from(servers, () => 1);
    this.present = Uint8Array.from(servers, ({ initial }) => (initial ? 1 : 0));
    this.drained = new Uint8Array(servers.length);
    this.down = Uint8Array.from(servers, ({ initial }) => (initial ? 0 : 1));
    this.weight = Float64Array.from(servers, ({ nominal }) => nominal);
    this.capacity = Float64Array.from(servers, ({ capacity }) => capacity);
    this.changedAt = Float64Array.from(servers, () => -Infinity);
    for (const { name, initial } of servers) if (initial) this.#gate.assume(name, true);
  }

  /** It gets new flows, as far as routers and conductor can say. */
  serves(server: number): boolean {
    return this.present[server] === 1 && this.drained[server] === 0 && this.down[server] === 0;
  }

  /** How often most servers were reported unhealthy at once. */
  get wideProblems(): number {
    return this.#wideProblems;
  }

  /** @returns whether routers and conductor see a difference at once; what concerns health, {@link judge} tells */
  apply(event: HistoryEvent): boolean {
    const { server } = event;
    switch (event.kind) {
      case 'drain':
      case 'undrain':
        this.drained[server] = event.kind === 'drain' ? 1 : 0;
        break;
      case 'die':
      case 'repair':
        this.working[server] = event.kind === 'repair' ? 1 : 0;
        this.#judgeAt = event.at;
        break;
      case 'unhealthy':
      case 'healthy':
        this.#checked[server] = event.kind === 'healthy' ? 1 : 0;
        this.#judgeAt = event.at;
        // Nothing happens to the server itself, unless the gate believes it.
        return false;
      case 'add':
        this.present[server] = 1;
        this.#judgeAt = event.at;
        break;
      case 'weight':
        this.weight[server] = event.factor * this.servers[server].nominal;
        this.capacity[server] = event.factor * this.servers[server].capacity;
        break;
      case 'slow':
        this.capacity[server] = event.factor * this.servers[server].capacity;
        break;
      case 'restart':
        break;
    }
    this.changedAt[server] = event.at;
    return event.kind === 'drain' || event.kind === 'undrain' || event.kind === 'weight';
  }

  /** Asks the gate what to make of the reports. @returns whether somebody went up or down */
  judge(now: number): boolean {
    if (now < this.#judgeAt) return false;
    const reports = this.servers
      .map(({ name }, server) => ({ server: name, up: this.#reported(server), why: '' }))
      .filter((_, server) => this.present[server] === 1);
    const { standings, wideProblem, nextAt } = this.#gate.judge(now, reports);
    this.#judgeAt = nextAt ?? Infinity;
    if (wideProblem !== null && !this.#wide) this.#wideProblems++;
    this.#wide = wideProblem !== null;
    let changed = false;
    for (const [server, { name }] of this.servers.entries()) {
      const down = standings.get(name)?.up === true ? 0 : 1;
      if (this.present[server] === 0 || this.down[server] === down) continue;
      this.down[server] = down;
      this.changedAt[server] = now;
      changed = true;
    }
    return changed;
  }

  #reported(server: number): boolean {
    return this.working[server] === 1 && this.#checked[server] === 1;
  }
}
