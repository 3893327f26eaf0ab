import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isVantage, vantagesOf } from '../../../src/node/monitor/vantages.js';

const names = fc.uniqueArray(
  fc.integer({ min: 1, max: 500 }).map((number) => `s${number}`),
  { minLength: 1, maxLength: 30 },
);
const counts = fc.integer({ min: 1, max: 5 });

describe('the vantages of a server', () => {
  it('are as many as are wanted, or all others; never the server itself when there are others', () => {
    fc.assert(
      fc.property(names, counts, fc.boolean(), (nodes, count, isNode) => {
        const server = isNode ? nodes[0] : 'other';
        const others = nodes.filter((node) => node !== server);
        const vantages = vantagesOf(server, nodes, count);
        expect(new Set(vantages).size).toBe(Math.min(count, others.length || nodes.length));
        expect(vantages.includes(server)).toBe(others.length === 0);
      }),
    );
  });

  it('are the same whoever asks, in whatever order it knows the nodes', () => {
    fc.assert(
      fc.property(names, counts, (nodes, count) => {
        const vantages = vantagesOf('s1', nodes, count);
        expect(vantagesOf('s1', [...nodes].reverse(), count)).toEqual(vantages);
        for (const node of [...nodes, 'stranger']) {
          expect(isVantage(node, 's1', nodes, count)).toBe(vantages.includes(node));
        }
      }),
    );
  });

  it('stay when another node leaves or comes: only its own work moves', () => {
    fc.assert(
      fc.property(names, counts, fc.nat(), (nodes, count, pick) => {
        const leaving = nodes[pick % nodes.length];
        const rest = nodes.filter((node) => node !== leaving);
        fc.pre(rest.some((node) => node !== 'server'));
        const before = vantagesOf('server', nodes, count);
        const after = vantagesOf('server', rest, count);
        const kept = before.filter((node) => node !== leaving);
        expect(after.slice(0, kept.length)).toEqual(kept);
        if (!before.includes(leaving)) expect(after).toEqual(before);
      }),
    );
  });

  it('spread the work over all nodes', () => {
    const nodes = Array.from({ length: 50 }, (_, index) => `s${index + 1}`);
    const work = new Map(nodes.map((node) => [node, 0]));
    for (const server of nodes) {
      for (const node of vantagesOf(server, nodes, 3)) work.set(node, (work.get(node) ?? 0) + 1);
    }
    expect(Math.max(...work.values())).toBeLessThanOrEqual(10);
    expect([...work.values()].filter((servers) => servers === 0).length).toBeLessThanOrEqual(8);
  });
});
