import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ReadAhead } from '../../src/io/read-ahead.js';

/** What is asked for, call by call, of a source with so many packets each time something is there. */
function asked(arrivals: readonly number[]): number[][] {
  const ahead = new ReadAhead(64);
  return arrivals.map((waiting) => {
    const calls: number[] = [];
    for (let left = waiting; ; ) {
      const ask = ahead.next;
      const came = Math.min(ask, left);
      calls.push(ask);
      left -= came;
      ahead.learn(ask, came);
      if (came < ask) return calls;
    }
  });
}

it('asks once for a lone packet, and learns from the same answer that there is no second', () => {
  expect(asked([1, 1, 1])).toEqual([[2], [2], [2]]);
});

it('doubles while there is more, and asks for one more than came the next time', () => {
  expect(asked([100, 20])).toEqual([[2, 4, 8, 16, 32, 64], [39]]);
  expect(asked([9, 9])).toEqual([
    [2, 4, 8],
    [4, 8],
  ]);
});

it('comes down by half at a time after a burst', () => {
  expect(asked([200, 0, 0, 0, 0, 0, 0]).map((calls) => calls.at(-1))).toEqual([64, 32, 16, 8, 4, 2, 2]);
});

it('takes every load with calls that grow with its logarithm, and never asks for less than 2 or more than 64', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 50 }), (arrivals) => {
      asked(arrivals).forEach((calls, i) => {
        expect(calls.every((ask) => ask >= 2 && ask <= 64)).toBe(true);
        expect(calls.length).toBeLessThanOrEqual(7 + arrivals[i] / 64);
      });
    }),
  );
});
