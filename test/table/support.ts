import { expect } from 'vitest';
import { parseIpv4 } from '../../src/table/address.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';

/** Helpers of this room's tests. */

export const KEY = Uint8Array.of(0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xff);

export const A = parseIpv4('10.0.1.1');
export const B = parseIpv4('10.0.2.1');
export const C = parseIpv4('10.0.3.1');

/** A table of these rows: first hop, second hop. */
export function tableOf(rows: readonly (readonly [number, number])[], version = 3): ForwardingTable {
  return new ForwardingTable({
    trafficset: 'web',
    version,
    hashKey: KEY,
    slots: Uint32Array.from(rows.flat()),
  });
}

/** Matches an error by its stable code. */
export function coded(code: string): unknown {
  return expect.objectContaining({ code });
}
