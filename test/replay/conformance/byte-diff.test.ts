import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteDiff } from '../../../src/replay/conformance/byte-diff.js';

const bytes = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('byteDiff', () => {
  it('puts both side by side and marks what differs', () => {
    const expected = bytes('00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  10 11');
    const got = bytes('00 01 02 03 04 05 06 07  08 09 ff 0b 0c 0d 0e ee  10 11');
    expect(byteDiff(expected, got)).toEqual([
      '2 of 18 bytes differ, the first at 10 (0xa)',
      'offset  expected                 got',
      '     8  08 09 0a 0b 0c 0d 0e 0f  08 09 ff 0b 0c 0d 0e ee',
      '              ^^             ^^        ^^             ^^',
    ]);
  });

  it('shows what is missing', () => {
    expect(byteDiff(bytes('aa bb cc'), bytes('aa'))).toEqual([
      '2 of 3 bytes differ, the first at 1 (0x1)',
      'expected are 3 bytes, got were 1',
      'offset  expected                 got',
      '     0  aa bb cc -- -- -- -- --  aa -- -- -- -- -- -- --',
      '           ^^ ^^                    ^^ ^^',
    ]);
  });

  it('shows no more rows than asked for, and says how many are left', () => {
    const lines = byteDiff(new Uint8Array(80), new Uint8Array(80).fill(1), 2);
    expect(lines.filter((line) => /^ +\d+ {2}/.test(line))).toHaveLength(2);
    expect(lines.at(-1)).toBe('and 8 more rows that differ');
  });

  it('has nothing to say of the same bytes, and something of others', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const same = Buffer.compare(a, b) === 0;
        expect(byteDiff(a, b).length === 0).toBe(same);
        expect(byteDiff(a, Uint8Array.from(a))).toEqual([]);
      }),
    );
  });
});
