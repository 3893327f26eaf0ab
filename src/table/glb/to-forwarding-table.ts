import { TableError } from '../errors.js';
import { ForwardingTable, newSlots } from '../forwarding-table.js';
import { refuseBadRow } from '../rows.js';
import { formatGlbAddress, GLB_ROWS, type GlbTable } from './glb-table.js';

export interface ForwardingTableOptions {
  readonly trafficset: string;
  /** Default 1. */
  readonly version?: number;
  /** 8 bytes: GLB's own key has 16 and is for another hash, so flows land in other rows than GLB puts them. */
  readonly hashKey: Uint8Array;
}

/**
 * GLB's rows as a forwarding table: primary is first hop, secondary second hop.
 * @throws TableError `bad-address` where a row names an IPv6 backend: hops are IPv4; `same-slots` where two backends of
 *   a row have the same address
 */
export function glbToForwardingTable(
  { backends, rows }: GlbTable,
  { trafficset, version = 1, hashKey }: ForwardingTableOptions,
): ForwardingTable {
  const dips = backends.map(({ address }) =>
    address.version === 4 ? Buffer.from(address.bytes).readUInt32BE(0) : null,
  );
  const slots = newSlots(GLB_ROWS);
  for (let slot = 0; slot < rows.length; slot++) {
    const dip = dips[rows[slot]];
    if (dip === null) {
      const address = formatGlbAddress(backends[rows[slot]].address);
      throw new TableError(
        'bad-address',
        `row ${slot >>> 1} has backend ${address}, and the hops of a forwarding table are IPv4: give GLB a table of IPv4 backends`,
      );
    }
    slots[slot] = dip;
  }
  refuseBadRow(slots, 'the table cannot be used');
  return new ForwardingTable({ trafficset, version, hashKey, slots });
}
