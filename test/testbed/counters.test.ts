import { describe, expect, it } from 'vitest';
import { since } from '../../src/testbed/counters.js';

describe('since', () => {
  it('subtracts by name, in groups too', () => {
    const before = { forwarded: 3, strays: { quic: 1, web: 4 } };
    const now = { forwarded: 10, strays: { quic: 1, web: 6 } };
    expect(since(before, now)).toEqual({ forwarded: 7, strays: { quic: 0, web: 2 } });
  });

  it('counts from zero what was not there before', () => {
    const now: Record<string, number> = { s1: 5, s2: 7 };
    expect(since<Record<string, number>>({ s1: 2 }, now)).toEqual({ s1: 3, s2: 7 });
  });
});
