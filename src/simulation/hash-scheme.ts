import type { Condition } from './condition.js';
import { MAGLEV_ENTRIES, maglevTable, type WeightedServer } from './maglev.js';
import { mix } from './random.js';
import { RendezvousPlacement } from './rendezvous.js';
import { newTally, type Scheme, type Tally } from './scheme.js';
import type { Traffic } from './traffic.js';

/**
 * Schemes without memory: a flow's server follows from its hash and the list of servers alone. When that gives another
 * server, the connection is broken.
 *
 * Flows are many groups of the same size; a group has one hash. As lifetimes have no memory and whoever loses a
 * connection opens it again at once, each group always has its share of all connections.
 */
export class HashScheme implements Scheme {
  readonly tally: Tally;
  /** Server of each group. */
  #owner: Uint16Array;
  /** Groups of each server. */
  readonly #groups: Uint32Array;

  /** @param place the server of each group, for a list of servers; the array is only read */
  constructor(
    readonly name: string,
    private readonly traffic: Traffic,
    private readonly place: (servers: readonly WeightedServer[]) => Uint16Array,
    condition: Condition,
  ) {
    this.tally = newTally(traffic.classes.length);
    this.#owner = place(serving(condition)).slice();
    this.#groups = new Uint32Array(condition.servers.length);
    for (const server of this.#owner) this.#groups[server]++;
  }

  learn(condition: Condition, at: number): void {
    const servers = serving(condition);
    // A router whose list of next hops would become empty keeps the last.
    if (servers.length === 0) return;
    const owner = this.place(servers);
    let broken = 0;
    for (let group = 0; group < owner.length; group++) {
      const before = this.#owner[group];
      const after = owner[group];
      if (before === after) continue;
      this.#groups[before]--;
      this.#groups[after]++;
      // Connections of a server that failed were lost with it.
      if (condition.working[before] === 1) broken++;
    }
    this.#count(this.tally.byTable, broken, at);
    this.#owner = owner.slice();
  }

  lose(server: number, at: number): void {
    this.#count(this.tally.byServer, this.#groups[server], at);
  }

  advance(condition: Condition, at: number): void {
    for (let server = 0; server < this.#groups.length; server++) {
      if (condition.working[server] === 1 || this.#groups[server] === 0) continue;
      const share = this.#groups[server] / this.#owner.length;
      for (let kind = 0; kind < this.traffic.classes.length; kind++) {
        this.tally.byServer[kind] += share * this.traffic.arriving(kind, at);
      }
    }
  }

  alive(server: number, kind: number, at: number): number {
    return (this.#groups[server] / this.#owner.length) * this.traffic.alive(kind, at);
  }

  #count(tally: Float64Array, groups: number, at: number): void {
    const share = groups / this.#owner.length;
    for (let kind = 0; kind < tally.length; kind++) tally[kind] += share * this.traffic.alive(kind, at);
  }
}

/** Servers that get new flows, with their weights, in the order of their addresses. */
export function serving(condition: Condition): WeightedServer[] {
  const all = condition.servers.map((_, server) => ({ server, weight: condition.weight[server] }));
  return all.filter(({ server, weight }) => condition.serves(server) && weight > 0);
}

export function flowHashes(groups: number, seed: number): Uint32Array {
  return Uint32Array.from({ length: groups }, (_, group) => mix(group, seed));
}

/** A router's equal-cost routes: hash modulo the number of next hops, no weights. */
export function ecmpPlacement(hashes: Uint32Array): (servers: readonly WeightedServer[]) => Uint16Array {
  const owner = new Uint16Array(hashes.length);
  return (servers) => {
    for (let group = 0; group < hashes.length; group++) {
      owner[group] = servers[hashes[group] % servers.length].server;
    }
    return owner;
  };
}

/** Maglev's table alone: without the connection tracking that a Maglev machine also has. */
export function maglevPlacement(
  hashes: Uint32Array,
  entries = MAGLEV_ENTRIES,
): (servers: readonly WeightedServer[]) => Uint16Array {
  const owner = new Uint16Array(hashes.length);
  return (servers) => {
    const table = maglevTable(servers, entries);
    for (let group = 0; group < hashes.length; group++) owner[group] = table[hashes[group] % entries];
    return owner;
  };
}

export function rendezvousPlacement(
  hashes: Uint32Array,
): (servers: readonly WeightedServer[]) => Uint16Array {
  const placement = new RendezvousPlacement(hashes);
  return (servers) => {
    placement.place(servers);
    return placement.owner;
  };
}
