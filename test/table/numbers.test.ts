import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apportion } from '../../src/table/apportion.js';
import { nearest } from '../../src/table/nearest.js';
import { randomUint32, shuffle } from '../../src/table/random.js';

describe('apportion', () => {
  it('gives out exactly the total, each share less than one from its exact one', () => {
    const weights = fc
      .array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 })
      .filter((list) => list.some((weight) => weight > 1e-3));
    fc.assert(
      fc.property(fc.nat(1 << 20), weights, (total, list) => {
        const shares = apportion(total, list);
        const sum = list.reduce((partial, weight) => partial + weight, 0);
        expect(shares.reduce((partial, share) => partial + share, 0)).toBe(total);
        for (const [index, share] of shares.entries()) {
          expect(Math.abs(share - (total * list[index]) / sum)).toBeLessThan(1 + 1e-6);
        }
      }),
    );
  });

  it('gives what is left to the largest remainders, the first on a tie', () => {
    expect(apportion(10, [1, 1, 1])).toEqual([4, 3, 3]);
    expect(apportion(10, [1, 2, 4])).toEqual([1, 3, 6]);
    expect(apportion(3, [0, 1, 0])).toEqual([0, 3, 0]);
    expect(apportion(0, [5])).toEqual([0]);
  });
});

describe('random numbers', () => {
  it('are the same for the same seed on every machine', () => {
    const next = randomUint32(1);
    expect([next(), next(), next()]).toMatchInlineSnapshot(`
      [
        1580013426,
        350525680,
        3524174333,
      ]
    `);
    expect(shuffle([0, 1, 2, 3, 4, 5, 6, 7], 1)).toMatchInlineSnapshot(`
      [
        5,
        7,
        1,
        6,
        3,
        4,
        0,
        2,
      ]
    `);
  });

  it('shuffle to permutations, each place about equally often', () => {
    const places = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
    for (let seed = 0; seed < 4000; seed++) {
      const values = shuffle([0, 1, 2, 3], seed);
      expect([...values].sort()).toEqual([0, 1, 2, 3]);
      for (const [place, value] of values.entries()) places[value][place]++;
    }
    for (const often of places.flat()) {
      expect(often).toBeGreaterThan(850);
      expect(often).toBeLessThan(1150);
    }
  });
});

describe('nearest', () => {
  it('finds what was probably meant, or nothing', () => {
    const known = ['name', 'kind', 'vips', 'vips_from', 'ports', 'dissector', 'table'];
    expect(nearest('port', known)).toBe('ports');
    expect(nearest('prots', known)).toBe('ports');
    expect(nearest('Name', known)).toBe('name');
    expect(nearest('disector', known)).toBe('dissector');
    expect(nearest('vip_from', known)).toBe('vips_from');
    expect(nearest('colour', known)).toBeUndefined();
    expect(nearest('x', known)).toBeUndefined();
    expect(nearest('', known)).toBeUndefined();
  });
});
