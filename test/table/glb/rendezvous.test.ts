import { describe, expect, it } from 'vitest';
import { SipHash24 } from '../../../src/flow/siphash.js';
import { type GlbTableSource, glbForwardingTableShape } from '../../../src/table/glb/forwarding-json.js';
import { formatGlbAddress, GLB_ROWS, type GlbTable } from '../../../src/table/glb/glb-table.js';
import { buildGlbTable } from '../../../src/table/glb/rendezvous.js';
import { readVectors } from '../../vectors.js';
import { backend, source } from './support.js';

interface RowsFile {
  readonly forwarding_table: unknown;
  readonly tables: ReadonlyArray<Readonly<Record<string, readonly [string, string]>>>;
}

function rowOf(table: GlbTable, row: number): [string, string] {
  const address = (slot: number) => formatGlbAddress(table.backends[table.rows[slot]].address);
  return [address(2 * row), address(2 * row + 1)];
}

/** The rule as a person would say it: sort all backends by digest, take two, exchange them if the first is bad. */
function slowRow({ seed, backends }: GlbTableSource, row: number): [string, string] {
  const hash = new SipHash24(seed);
  const digest = (...parts: Uint8Array[]): Buffer => {
    const message = Buffer.concat(parts);
    const words = new Int32Array(8);
    Buffer.from(words.buffer).set(message);
    hash.hash(words, message.length);
    const bytes = Buffer.alloc(8);
    hash.writeDigest(new DataView(bytes.buffer, bytes.byteOffset, 8), 0);
    return bytes;
  };
  const number = Buffer.alloc(4);
  number.writeUInt32BE(row);
  const rowSeed = digest(number);
  const ranked = backends
    .filter(({ state }) => state !== 'inactive')
    .map((candidate) => ({ candidate, rank: digest(rowSeed, candidate.address.bytes).toString('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    .map(({ candidate }) => candidate);
  const [primary, secondary] = ranked;
  const bad = primary.state === 'draining' || !primary.healthy;
  const pair = bad && secondary.state === 'active' ? [secondary, primary] : [primary, secondary];
  return [formatGlbAddress(pair[0].address), formatGlbAddress(pair[1].address)];
}

describe('the rows of a GLB table', () => {
  it("are those of GLB's own tool", () => {
    const file = readVectors<RowsFile>('glb-table-rows');
    const sources = glbForwardingTableShape.parse(file.forwarding_table).tables;
    expect(sources).toHaveLength(file.tables.length);
    for (const [index, rows] of file.tables.entries()) {
      const table = buildGlbTable(sources[index]);
      expect(Object.keys(rows).length).toBeGreaterThan(400);
      for (const [row, expected] of Object.entries(rows)) {
        expect(rowOf(table, Number(row)), `row ${row}`).toEqual(expected);
      }
    }
  });

  it('are those of the slow twin, for both families and all states', () => {
    const tableSource = source(
      backend('10.0.1.1'),
      backend('10.0.2.1', 'draining'),
      backend('10.0.3.1', 'filling'),
      backend('10.0.4.1', 'active', false),
      backend('10.0.5.1', 'inactive'),
      backend('2001:db8::1', 'draining', false),
      backend('2001:db8::2'),
    );
    const table = buildGlbTable(tableSource);
    for (let row = 0; row < GLB_ROWS; row += 61) {
      expect(rowOf(table, row), `row ${row}`).toEqual(slowRow(tableSource, row));
    }
  });

  it('change only where a backend that comes ranks first or second', () => {
    const three = [backend('10.0.1.1'), backend('10.0.2.1'), backend('10.0.3.1')];
    const before = buildGlbTable(source(...three));
    const after = buildGlbTable(source(...three, backend('10.0.4.1')));
    let moved = 0;
    for (let row = 0; row < GLB_ROWS; row++) {
      const now = rowOf(after, row);
      if (!now.includes('10.0.4.1')) expect(now).toEqual(rowOf(before, row));
      else moved++;
    }
    // Two of the four places in a row of four.
    expect(moved / GLB_ROWS).toBeCloseTo(0.5, 1);
  });

  it('name the backend listed first where two have the same address', () => {
    const table = buildGlbTable(source(backend('10.0.1.1'), backend('10.0.2.1'), backend('10.0.1.1')));
    const pairs = new Set<string>();
    for (let row = 0; row < GLB_ROWS; row++) pairs.add(`${table.rows[2 * row]} ${table.rows[2 * row + 1]}`);
    expect([...pairs].sort()).toEqual(['0 2', '1 0']);
  });

  it('need two backends', () => {
    expect(() => buildGlbTable(source(backend('10.0.1.1'), backend('10.0.2.1', 'inactive')))).toThrow(
      RangeError,
    );
  });
});
