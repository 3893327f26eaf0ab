import type { ForwarderService, ForwarderSite } from '../../path/profile/forwarder-site.js';
import { glbForwardingTableShape } from '../../table/glb/forwarding-json.js';
import { GLB_ROWS, type GlbTable } from '../../table/glb/glb-table.js';
import { buildGlbTable } from '../../table/glb/rendezvous.js';
import { ConformanceError } from './format.js';
import { shapeProblems } from './shape.js';

/** GLB's tables as the surroundings of a forwarder. */

/**
 * The tables of a `forwarding_table` section, each built when it is asked for first.
 * @throws ConformanceError
 */
export function readGlbTables(format: string, section: unknown): ReadonlyArray<() => GlbTable> {
  const parsed = glbForwardingTableShape.safeParse(section);
  if (!parsed.success) {
    const problems = shapeProblems(parsed.error, section).map((problem) => `forwarding_table.${problem}`);
    throw new ConformanceError(`${format}: ${problems.slice(0, 5).join('; ')}`);
  }
  return parsed.data.tables.map((source) => {
    let built: GlbTable | null = null;
    return () => {
      built ??= buildGlbTable(source);
      return built;
    };
  });
}

/** One table that every packet is for: where the director's classifier has already chosen it. */
export function glbSite(table: GlbTable, index: number, address: number, port: number): ForwarderSite {
  // The director takes the first four bytes of an IPv6 backend for an IPv4 address.
  const hops = table.backends.map((backend) => Buffer.from(backend.address.bytes).readUInt32BE(0));
  const service: ForwarderService = {
    name: `table ${index}`,
    index,
    hashKey: table.hashKey,
    rowCount: GLB_ROWS,
    hopsOf: (row) => [hops[table.rows[2 * row]], hops[table.rows[2 * row + 1]]],
    hasSecondHop: true,
    dissector: null,
    followsFragments: false,
    hasMember: () => true,
    hasSession: null,
    keyFields: null,
  };
  return { address, port, mtu: 0xffff, serviceOf: () => service };
}
