import { expect, it } from 'vitest';
import { runEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';

/** Whole nodes with a store, and with a router that speaks BGP, in namespaces of the test's own. */

const NEEDS = ['root', 'tun', 'namespaces', 'ip', 'tc', 'curl', 'nft'] as const;

describePrivileged('a node with a store', NEEDS, () => {
  it.each([['tc'], ['policy']])(
    'goes on without it, catches up, and starts from its copies: steering by %s',
    { timeout: 180_000 },
    (steering) => {
      const seen = runEnclosed<Record<string, unknown>>(
        new URL('./fixtures/store.mjs', import.meta.url),
        steering,
      );
      expect(seen).toEqual({
        first: ['s1', true, 1],
        second: 's2',
        addedLater: 's3',
        notYet: null,
        added: ['s2', 's2', 's2'],
        ranges: 2,
        removed: ['s2', null],
        overlap: ['s2', 2],
        unharmed: 1_500_000,
        away: ['s2', 's2', 200],
        back: 's1',
        fromCopies: ['s1', 's1', 5],
        older: ['s1', 5],
        exit: 0,
        gone: null,
        left: [],
        warnings: [],
        said: ['the store is away', 'the store is there', 'VIP ranges refused'],
      });
    },
  );

  it('takes 100,000 VIP ranges while it runs, and lets them go again', { timeout: 180_000 }, () => {
    const seen = runEnclosed<Record<string, unknown> & { steered: number; removal: unknown }>(
      new URL('./fixtures/many-vips.mjs', import.meta.url),
    );
    expect(seen.answered).toEqual(['s1', 's1', 's1']);
    expect(seen.notServed).toEqual([null, null]);
    expect(seen.routes).toBe(100_000);
    expect(seen.steered).toBeLessThanOrEqual(512);
    expect(seen.one).toEqual(['s1', null]);
    expect(seen.unharmed).toBe(3_000_000);
    expect(seen.after).toEqual(['s1', null, 0]);
    expect(seen.left).toEqual([]);
  });
});

describePrivileged('the routes of a node', [...NEEDS, 'bird', 'birdc', 'setpriv', 'ps', 'pgrep'], () => {
  it('are there while it is well and wanted, and gone when it is not', { timeout: 180_000 }, () => {
    const { milliseconds, ...seen } = runEnclosed<Record<string, unknown>>(
      new URL('./fixtures/routes.mjs', import.meta.url),
    );
    expect(seen).toEqual({
      withoutTable: ['', 503],
      up: ['s1', 's1', 2],
      drained: ['s1', true],
      unharmed: 1_000_000,
      added: 's1',
      deviceDown: [503, true],
      killed: ['s1', 1],
      exit: 0,
      left: [],
      birds: 0,
      order: true,
    });
    expect(milliseconds).toHaveProperty('killed');
  });
});
