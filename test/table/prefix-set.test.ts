import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leadingBits, Prefix, parsePrefix } from '../../src/table/address.js';
import {
  aggregatePrefixes,
  comparePrefixes,
  containsPrefix,
  coverPrefixes,
  uncoveredPrefixes,
} from '../../src/table/prefix-set.js';

const prefixes = (...texts: string[]) => texts.map(parsePrefix);
const texts = (some: readonly Prefix[] | null) => some?.map(String) ?? null;

/** In 10.0.0.0/24, so that all its addresses can be asked. */
const small = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 25, max: 32 }))
  .map(([host, length]) => new Prefix(4, [((0x0a000000 | host) & leadingBits(length)) >>> 0], length));
const sets = fc.array(small, { maxLength: 40 });
const addresses = Array.from({ length: 256 }, (_, host) => 0x0a000000 + host);
const inside = (some: readonly Prefix[], address: number) => some.some((prefix) => prefix.contains4(address));

describe('sets of prefixes', () => {
  it('join halves to wholes, and leave out what lies in others', () => {
    const joined = aggregatePrefixes(
      prefixes(
        '10.0.0.128/25',
        '10.0.1.0/24',
        '10.0.0.0/26',
        '10.0.0.64/26',
        '10.0.0.7',
        '2001:db8:1::/48',
        '2001:db8::/48',
      ),
    );
    expect(texts(joined)).toEqual(['10.0.0.0/23', '2001:db8::/47']);
  });

  it('joined have the same addresses, and no two that could be one', () => {
    fc.assert(
      fc.property(sets, (some) => {
        const joined = aggregatePrefixes(some);
        for (const address of addresses) expect(inside(joined, address)).toBe(inside(some, address));
        for (const [index, prefix] of joined.entries()) {
          const before = joined[index - 1];
          if (before === undefined) continue;
          expect(comparePrefixes(before, prefix)).toBeLessThan(0);
          expect(containsPrefix(before, prefix)).toBe(false);
          expect(aggregatePrefixes([before, prefix])).toHaveLength(2);
        }
      }),
    );
  });

  it('covered hold all, in no more prefixes than allowed, and nothing that must be kept out', () => {
    fc.assert(
      fc.property(
        sets,
        fc.integer({ min: 1, max: 6 }),
        fc.array(small, { maxLength: 3 }),
        (some, most, out) => {
          const joined = aggregatePrefixes(some);
          const keepOut = out.filter((one) => !joined.some((prefix) => containsPrefix(one, prefix)));
          const covers = coverPrefixes(joined, most, keepOut);
          if (covers === null) {
            // Only what has to be kept out forbids few covers.
            expect(keepOut.length).toBeGreaterThan(0);
            return;
          }
          expect(covers.length).toBeLessThanOrEqual(Math.max(most, 0));
          for (const prefix of joined)
            expect(covers.some((cover) => containsPrefix(cover, prefix))).toBe(true);
          for (const one of keepOut) {
            const taken = covers.find((cover) => containsPrefix(cover, one));
            if (taken !== undefined) expect(joined.some((prefix) => containsPrefix(prefix, one))).toBe(true);
          }
        },
      ),
    );
  });

  it('covered by as many prefixes as they are, stay what they are', () => {
    const some = aggregatePrefixes(prefixes('10.0.0.0/24', '10.9.0.0/16', '2001:db8::/64', '2001:db9::/64'));
    expect(texts(coverPrefixes(some, 4, []))).toEqual(texts(some));
  });

  it('take in the fewest other addresses that so few covers can', () => {
    const some = prefixes('10.0.0.0/32', '10.0.0.3/32', '10.0.8.0/32', '10.200.0.0/32');
    expect(texts(coverPrefixes(some, 2, []))).toEqual(['10.0.0.0/20', '10.200.0.0/32']);
    expect(texts(coverPrefixes(some, 3, []))).toEqual(['10.0.0.0/30', '10.0.8.0/32', '10.200.0.0/32']);
  });

  it('leave out a server between the VIPs, or say that it cannot be done', () => {
    const some = prefixes('10.0.0.0/32', '10.0.0.2/32', '10.0.0.8/32');
    expect(texts(coverPrefixes(some, 2, prefixes('10.0.0.5/32')))).toEqual(['10.0.0.0/30', '10.0.0.8/32']);
    expect(coverPrefixes(some, 1, prefixes('10.0.0.5/32'))).toBeNull();
  });

  it('give the rest of one family to the other', () => {
    const six = Array.from({ length: 6 }, (_, i) => parsePrefix(`2001:db8:${2 * i}::/48`));
    const covers = coverPrefixes(aggregatePrefixes([...prefixes('10.0.0.0/24'), ...six]), 7, []);
    expect(covers).toHaveLength(7);
  });

  it('are searched for what no cover holds', () => {
    fc.assert(
      fc.property(sets, sets, (some, covers) => {
        const sorted = [...some].sort(comparePrefixes);
        const left = uncoveredPrefixes(sorted, aggregatePrefixes(covers));
        const expected = sorted.filter(
          (prefix) => !aggregatePrefixes(covers).some((cover) => containsPrefix(cover, prefix)),
        );
        expect(texts(left)).toEqual(texts(expected));
      }),
    );
  });
});
