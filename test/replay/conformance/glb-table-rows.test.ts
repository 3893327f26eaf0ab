import { describe, expect, it } from 'vitest';
import { glbTableRows } from '../../../src/replay/conformance/glb-table-rows.js';
import { readVectors } from '../../vectors.js';
import { failures, runAll, runDamaged } from './support.js';

interface RowsFile {
  forwarding_table: { tables: { seed: string; backends: { ip: string }[] }[] };
  tables: Record<string, [string, string]>[];
}

describe("rows of GLB's tables", () => {
  it('all pass', () => {
    const results = runAll(glbTableRows, readVectors('glb-table-rows'));
    expect(results.find(({ outcome }) => outcome !== 'passed')).toBeUndefined();
    expect(results).toHaveLength(401);
  });

  it('pass for several tables, in order as well as by number, whatever way an address is written', () => {
    const file = readVectors<RowsFile>('glb-table-rows');
    const [table] = file.forwarding_table.tables;
    const [rows] = file.tables;
    const other = { ...table, backends: table.backends.filter(({ ip }) => ip !== '1.1.1.5') };
    const spelled = Object.entries(rows).map(([row, pair]) => [
      row,
      pair.map((ip) => ip.replace('2001:db8::1', '2001:0DB8:0::1')),
    ]);
    const both = {
      ...file,
      forwarding_table: { tables: [table, other, other] },
      // An inactive backend is in no row, so leaving it out changes none.
      tables: [rows, Object.fromEntries(spelled), [rows['0'], rows['1']]],
    };
    const results = runAll(glbTableRows, both);
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(results.map(({ group }) => group).filter((group) => group === 'table 2')).toHaveLength(2);
  });

  it('fail when a row or the seed is changed', () => {
    const file = readVectors<RowsFile>('glb-table-rows');
    file.tables[0]['748'] = ['1.1.1.4', '1.1.1.1'];
    expect(failures(glbTableRows, file)).toEqual([
      {
        group: 'table 0',
        name: 'table 0/row 748',
        outcome: 'failed',
        detail: ['expected 1.1.1.4, 1.1.1.1', 'got      1.1.1.1, 1.1.1.4'],
      },
    ]);
    file.forwarding_table.tables[0].seed = 'f'.repeat(32);
    expect(failures(glbTableRows, file).length).toBeGreaterThan(300);
  });

  it('tell what is wrong with them', () => {
    const file = readVectors<RowsFile>('glb-table-rows');
    const bad = { ...file.tables[0], 65536: ['1.1.1.1', '1.1.1.2'], x: [], 7: ['1.1.1.1', 'y'] };
    const details = failures(glbTableRows, { ...file, tables: [bad] }).map(
      ({ name, detail }) => `${name}: ${detail[0]}`,
    );
    expect(details).toContainEqual(expect.stringMatching(/row 65536: .* they count from 0 to 65535/));
    expect(details).toContainEqual(
      expect.stringMatching(/row 7: .*\[1\]: expected the address of a backend/),
    );
    expect(details).toHaveLength(3);
    expect(() => failures(glbTableRows, { ...file, tables: [] })).toThrow(
      /rows of 0 tables, and the forwarding_table has 1/,
    );
    expect(() => failures(glbTableRows, { ...file, tables: [null] })).toThrow(
      /tables\[0\]: expected rows by number/,
    );
  });

  it('end with results or a clear error, whatever was done to them', () => {
    const { ran, refused } = runDamaged(glbTableRows, readVectors('glb-table-rows'), 40);
    expect(ran).toBeGreaterThan(5);
    expect(refused).toBeGreaterThan(5);
  });
});
