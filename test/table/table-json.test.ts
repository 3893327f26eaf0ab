import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TableError } from '../../src/table/errors.js';
import { decodeTableJson, encodeTableJson } from '../../src/table/table-json.js';
import { A, B, coded, tableOf } from './support.js';

const table = tableOf([
  [A, 0],
  [B, A],
]);

const TEXT = `{
  "format": "twohop-table",
  "formatVersion": 2,
  "trafficset": "web",
  "version": 3,
  "hashKey": "00112233445566ff",
  "bucketCount": 2,
  "rows": [
    ["10.0.1.1", null],
    ["10.0.2.1", "10.0.1.1"]
  ]
}
`;

describe('tables as JSON', () => {
  it('have one row per line', () => {
    expect(encodeTableJson(table)).toBe(TEXT);
    expect(decodeTableJson(TEXT)).toEqual(table);
  });

  it('lose nothing', () => {
    const dips = fc.integer({ min: 1, max: 0xffffffff });
    const rows = fc
      .nat(4)
      .chain((log) =>
        fc.array(fc.tuple(dips, fc.option(dips, { nil: 0 })), { minLength: 1 << log, maxLength: 1 << log }),
      )
      .filter((list) => list.every(([first, second]) => first !== second));
    fc.assert(
      fc.property(rows, fc.maxSafeNat(), (list, version) => {
        const any = tableOf(list, version);
        expect(decodeTableJson(encodeTableJson(any))).toEqual(any);
      }),
    );
  });

  it('may be laid out in any way that JSON allows', () => {
    expect(decodeTableJson(JSON.stringify(JSON.parse(TEXT)))).toEqual(table);
  });

  it('are refused with code and place', () => {
    const cases: [string, string, string, RegExp][] = [
      ['empty', TEXT, ' \n', /nothing in it/],
      ['bad-json', TEXT, TEXT.slice(0, -3), /no JSON/],
      ['bad-magic', 'twohop-table', 'other', /no forwarding table/],
      ['bad-magic', TEXT, '[]', /no forwarding table/],
      ['older-format', '"formatVersion": 2', '"formatVersion": 1', /format version 1/],
      ['newer-format', '"formatVersion": 2', '"formatVersion": 3', /format version 3/],
      ['bad-json', '"10.0.1.1", null', '"10.0.1.256", null', /rows\[0\]\[0\]: "10\.0\.1\.256" is no DIP/],
      ['bad-json', '"10.0.1.1", null', '"0.0.0.0", null', /rows\[0\]\[0\]/],
      ['bad-json', '"10.0.1.1", null', '"10.0.1.1"', /rows\[0\]/],
      ['bad-json', '"10.0.1.1", null', '7, 8', /rows\[0\]\[0\].*and 1 more/],
      ['bad-json', '00112233445566ff', '0011', /hashKey: expected 16 hexadecimal digits/],
      ['bad-json', '"version": 3', '"version": "3"', /version/],
      ['bad-json', '"version": 3', '"version": 3, "vresion": 4', /vresion/],
      ['bad-version', '"version": 3', '"version": 3.5', /3\.5/],
      ['bad-name', '"web"', '"Web"', /"Web"/],
      ['bad-bucket-count', '"bucketCount": 2', '"bucketCount": 4', /says 4 and there are 2 rows/],
      ['bad-bucket-count', '"bucketCount": 2', '"bucketCount": 1', /says 1 and there are 2 rows/],
      ['same-slots', '"10.0.2.1", "10.0.1.1"', '"10.0.2.1", "10.0.2.1"', /bucket 1/],
    ];
    for (const [code, from, to, words] of cases) {
      const text = TEXT.replace(from, to);
      expect(() => decodeTableJson(text), to).toThrow(coded(code));
      expect(() => decodeTableJson(text), to).toThrow(words);
    }
    const three = TEXT.replace('"bucketCount": 2', '"bucketCount": 1').replace(/,\n.*"10.0.2.1".*/, '');
    expect(decodeTableJson(three).bucketCount).toBe(1);
  });

  it('give nothing but TableError for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => decodeTableJson(text)).toThrow(TableError);
      }),
    );
    for (let length = 0; length < TEXT.length - 2; length++) {
      expect(() => decodeTableJson(TEXT.slice(0, length))).toThrow(TableError);
    }
  });
});
