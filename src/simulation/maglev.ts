import { mix } from './random.js';

/**
 * The lookup table of Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
 * NSDI 2016, section 3.4): each server has a permutation of the table's entries, and in turn each takes the next entry
 * of its permutation that is still free. Weights, as the paper says, by how often a server has its turn.
 */

export interface WeightedServer {
  /** Index of the server; its permutation depends on nothing else. */
  readonly server: number;
  /** Above 0. */
  readonly weight: number;
}

/** The paper's small table; for some hundred servers, more than a hundred entries each. */
export const MAGLEV_ENTRIES = 65_537;

/**
 * @param entries a prime number, so that every step goes through all entries
 * @returns the index of the server of each entry
 */
export function maglevTable(servers: readonly WeightedServer[], entries = MAGLEV_ENTRIES): Uint16Array {
  if (servers.length === 0) throw new Error('maglevTable: no servers');
  const most = Math.max(...servers.map(({ weight }) => weight));
  const turns = servers.map(({ server, weight }) => ({
    server,
    turnsPerRound: weight / most,
    credit: 0,
    entry: mix(server, 0x0ff5e7) % entries,
    skip: (mix(server, 0x5c1b) % (entries - 1)) + 1,
  }));
  const table = new Uint16Array(entries);
  const taken = new Uint8Array(entries);
  let free = entries;
  while (free > 0) {
    for (const turn of turns) {
      turn.credit += turn.turnsPerRound;
      if (turn.credit < 1) continue;
      turn.credit -= 1;
      while (taken[turn.entry] === 1) turn.entry = (turn.entry + turn.skip) % entries;
      table[turn.entry] = turn.server;
      taken[turn.entry] = 1;
      free--;
      if (free === 0) break;
    }
  }
  return table;
}
