import { addServer, drain, swapHops } from '../../../table/edit.js';
import type { ForwardingTable } from '../../../table/forwarding-table.js';

/**
 * Edits with UDP's switched roles. Those for TCP make the new server first hop; here the first hop is the one that has
 * the flows, so that only those who ask for a flow it does not have go on to the second.
 */

/** The server stays first hop; behind it an heir takes what is new. @param dip host order */
export function leaving(table: ForwardingTable, dip: number): ForwardingTable {
  return swapHops(drain(table, dip, { keepSecondHop: true }), 1);
}

/** The server becomes second hop in its share of the buckets. The table must have no second hops. @param dip host order */
export function coming(table: ForwardingTable, dip: number): ForwardingTable {
  return swapHops(addServer(table, dip), 1);
}
