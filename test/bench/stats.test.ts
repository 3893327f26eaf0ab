import { describe, expect, it } from 'vitest';
import { pairedRounds, spreadOf } from './stats.js';

describe('spreadOf', () => {
  it('takes the middle of an odd number and the mean of the two middles of an even one', () => {
    expect(spreadOf([5, 1, 3])).toEqual({ min: 1, median: 3, max: 5 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 });
  });

  it('refuses to summarise nothing', () => {
    expect(() => spreadOf([])).toThrow('no samples');
  });
});

describe('pairedRounds', () => {
  it('alternates, native first, and throws the warm-up away', () => {
    const order: string[] = [];
    const native = [100, 10, 20];
    const js = [100, 15, 60];
    const paired = pairedRounds(
      2,
      1,
      () => {
        order.push('C');
        return native[(order.length - 1) >> 1];
      },
      () => {
        order.push('JS');
        return js[(order.length - 1) >> 1];
      },
    );
    expect(order).toEqual(['C', 'JS', 'C', 'JS', 'C', 'JS']);
    expect(paired.native).toEqual({ min: 10, median: 15, max: 20 });
    // Ratios are taken round by round: 15/10 and 60/20, not of the medians.
    expect(paired.ratio).toEqual({ min: 1.5, median: 2.25, max: 3 });
  });
});
