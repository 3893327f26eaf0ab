import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RiseFall } from '../../../src/node/monitor/rise-fall.js';

/** What is known after each check: `+` success, `-` failure, `?` could not be made. */
function known(rise: number, fall: number, checks: string): string {
  const counter = new RiseFall(rise, fall);
  return [...checks]
    .map((check) => {
      counter.record(check === '?' ? null : check === '+');
      return counter.up === null ? '?' : counter.up ? '+' : '-';
    })
    .join('');
}

describe('rise and fall', () => {
  it('know nothing before as many checks in a row as they take', () => {
    expect(known(2, 3, '++')).toBe('?+');
    expect(known(2, 3, '---')).toBe('??-');
    expect(known(2, 3, '+-+-+-')).toBe('??????');
  });

  it('take failures in a row to go down and successes in a row to come up', () => {
    expect(known(2, 3, '++--+---')).toBe('?++++++-');
    expect(known(2, 3, '---+-++')).toBe('??----+');
  });

  it('know nothing any more when checks cannot be made for as long as a fall takes', () => {
    expect(known(2, 3, '++?+??+???+')).toBe('?++++++++??');
    expect(known(1, 1, '+?-')).toBe('+?-');
  });

  it('say when anything changed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.option(fc.boolean())),
        (rise, fall, checks) => {
          const counter = new RiseFall(rise, fall);
          for (const check of checks) {
            const before = counter.up;
            expect(counter.record(check)).toBe(counter.up !== before);
          }
        },
      ),
    );
  });
});
