import type { WeightedServer } from './maglev.js';
import { mix } from './random.js';

/**
 * Weighted rendezvous hashing (Thaler and Ravishankar's highest random weight, with the logarithm of weighted
 * distributed hash tables): each flow goes to the server with the highest score `weight / -ln(u)`, where `u` in (0, 1)
 * is the hash of flow and server.
 *
 * The owner of each flow is kept and only what a change can touch is scored again; the result is the same as from the
 * beginning.
 */
export class RendezvousPlacement {
  readonly owner: Uint16Array;
  /** The reciprocal of the owner's score: the lowest wins. */
  readonly #best: Float64Array;
  readonly #hashes: Uint32Array;
  #weights: ReadonlyMap<number, number> = new Map();

  /** @param hashes of the flows */
  constructor(hashes: Uint32Array) {
    this.#hashes = hashes;
    this.owner = new Uint16Array(hashes.length);
    this.#best = new Float64Array(hashes.length).fill(Infinity);
  }

  place(servers: readonly WeightedServer[]): void {
    if (servers.length === 0) throw new Error('RendezvousPlacement: no servers');
    const weights = new Map(servers.map(({ server, weight }) => [server, weight]));
    const left = new Uint8Array(2 ** 16);
    for (const [server, weight] of this.#weights) if (weights.get(server) !== weight) left[server] = 1;
    const joined = servers.filter(({ server, weight }) => this.#weights.get(server) !== weight);
    for (let flow = 0; flow < this.#hashes.length; flow++) {
      if (left[this.owner[flow]] === 1) this.#best[flow] = Infinity;
      // Who lost its server asks all; the others only those who are new.
      const candidates = this.#best[flow] === Infinity ? servers : joined;
      this.#contest(flow, candidates);
    }
    this.#weights = weights;
  }

  #contest(flow: number, candidates: readonly WeightedServer[]): void {
    const hash = this.#hashes[flow];
    let best = this.#best[flow];
    for (const { server, weight } of candidates) {
      const distance = 1 - (mix(hash, server) + 0.5) / 2 ** 32;
      // -ln(1 - d) is at least d: mostly that is enough to know that it does not win.
      if (distance >= best * weight) continue;
      const score = -Math.log1p(-distance) / weight;
      if (score >= best) continue;
      best = score;
      this.owner[flow] = server;
    }
    this.#best[flow] = best;
  }
}
