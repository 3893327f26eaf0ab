import { describe, expect, it } from 'vitest';
import { headerOptions } from '../../src/wire/options.js';
import { dataOf, hex } from './bytes.js';

function list(text: string): (readonly [number, number, number])[] {
  const bytes = hex(text);
  return [...headerOptions(dataOf(bytes), 0, bytes.length)].map(({ type, offset, length }) => [
    type,
    offset,
    length,
  ]);
}

describe('headerOptions', () => {
  it('lists the options of a usual SYN: MSS, SACK permitted, timestamps, padding, window scale', () => {
    expect(list('020405b4 0402 080a 0000000100000000 01 030307')).toEqual([
      [2, 0, 4],
      [4, 4, 2],
      [8, 6, 10],
      [1, 16, 1],
      [3, 17, 3],
    ]);
  });

  it('stops at the end mark', () => {
    expect(list('01 00 020405b4')).toEqual([
      [1, 0, 1],
      [0, 1, 1],
    ]);
  });

  it('shows an option of impossible length and stops', () => {
    expect(list('01 0200 0101')).toEqual([
      [1, 0, 1],
      [2, 1, 0],
    ]);
    expect(list('0201 0101')).toEqual([[2, 0, 0]]);
    expect(list('0205 0101')).toEqual([[2, 0, 0]]);
    expect(list('02')).toEqual([[2, 0, 0]]);
  });

  it('is empty where there are none', () => {
    expect(list('')).toEqual([]);
  });
});
