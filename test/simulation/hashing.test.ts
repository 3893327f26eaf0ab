import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ecmpPlacement, flowHashes, maglevPlacement } from '../../src/simulation/hash-scheme.js';
import { MAGLEV_ENTRIES, maglevTable, type WeightedServer } from '../../src/simulation/maglev.js';
import { RendezvousPlacement } from '../../src/simulation/rendezvous.js';

function equal(count: number): WeightedServer[] {
  return Array.from({ length: count }, (_, server) => ({ server, weight: 1 }));
}

function without(servers: readonly WeightedServer[], gone: number): WeightedServer[] {
  return servers.filter(({ server }) => server !== gone);
}

function sharesOf(owner: Uint16Array, servers: number): number[] {
  const counts = new Array<number>(servers).fill(0);
  for (const server of owner) counts[server]++;
  return counts;
}

/** Share of what was not on server `gone` that changed its server. */
function disturbed(before: Uint16Array, after: Uint16Array, gone: number): number {
  let [kept, moved] = [0, 0];
  for (const [index, server] of before.entries()) {
    if (server === gone) continue;
    if (after[index] === server) kept++;
    else moved++;
  }
  return moved / (kept + moved);
}

describe('Maglev hashing', () => {
  it('gives each server the same number of entries, give or take one', () => {
    for (const servers of [1, 7, 500]) {
      const shares = sharesOf(maglevTable(equal(servers)), servers);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(MAGLEV_ENTRIES);
    }
  });

  it('gives entries in proportion to weights', () => {
    const servers = equal(100).map(({ server }) => ({ server, weight: server % 2 === 0 ? 1 : 2.2 }));
    const shares = sharesOf(maglevTable(servers), 100);
    for (let server = 0; server < 100; server += 2) {
      expect(shares[server + 1] / shares[server]).toBeCloseTo(2.2, 1);
    }
  });

  it("moves few entries of the others when a server leaves, but some: the paper's small disruption", () => {
    const servers = equal(100);
    const before = maglevTable(servers);
    const moved = disturbed(before, maglevTable(without(servers, 42)), 42);
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(0.03);
  });

  it('depends on who is there, not on what was before', () => {
    const place = maglevPlacement(flowHashes(1000, 1));
    const once = place(equal(50)).slice();
    expect(place(equal(60))).not.toEqual(once);
    expect(place(equal(50))).toEqual(once);
  });
});

describe('rendezvous hashing', () => {
  const hashes = flowHashes(60_000, 7);

  it('moves only the flows of the server that leaves, and only to the one that comes back', () => {
    const placement = new RendezvousPlacement(hashes);
    placement.place(equal(50));
    const before = placement.owner.slice();
    placement.place(without(equal(50), 9));
    expect(disturbed(before, placement.owner, 9)).toBe(0);
    expect(placement.owner.includes(9)).toBe(false);
    placement.place(equal(50));
    expect(placement.owner).toEqual(before);
  });

  it('gives flows in proportion to weights', () => {
    const weights = [1, 1, 1.5, 2.2, 0.3];
    const placement = new RendezvousPlacement(hashes);
    placement.place(weights.map((weight, server) => ({ server, weight })));
    const shares = sharesOf(placement.owner, weights.length);
    for (const [server, weight] of weights.entries()) {
      expect(shares[server] / hashes.length).toBeCloseTo(weight / 6, 2);
    }
  });

  it('places after any history as from the beginning', () => {
    const few = hashes.subarray(0, 300);
    const list = fc
      .uniqueArray(fc.record({ server: fc.nat(12), weight: fc.constantFrom(0.5, 1, 2.2) }), {
        selector: ({ server }) => server,
        minLength: 1,
      })
      .map((servers) => servers.sort((a, b) => a.server - b.server));
    fc.assert(
      fc.property(fc.array(list, { minLength: 2, maxLength: 6 }), (history) => {
        const placement = new RendezvousPlacement(few);
        for (const servers of history) placement.place(servers);
        const fresh = new RendezvousPlacement(few);
        fresh.place(history[history.length - 1]);
        expect(placement.owner).toEqual(fresh.owner);
      }),
    );
  });
});

describe('equal-cost routes', () => {
  it('give equal shares, and move nearly every flow when one route goes', () => {
    const hashes = flowHashes(100_000, 3);
    const place = ecmpPlacement(hashes);
    const before = place(equal(50)).slice();
    for (const share of sharesOf(before, 50)) expect(Math.abs(share / 2000 - 1)).toBeLessThan(0.1);
    const moved = disturbed(before, place(without(equal(50), 10)), 10);
    expect(moved).toBeGreaterThan(0.95);
  });
});
