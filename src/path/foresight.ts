import { GUE_HEADER } from '../wire/gue.js';
import { IPV4_AT_DESTINATION, IPV4_HEADER } from '../wire/ipv4.js';
import { IPV6_AT_DESTINATION, IPV6_HEADER } from '../wire/ipv6.js';
import { UDP_HEADER } from '../wire/udp.js';
import type { PacketBatch } from './batch.js';
import type { PathState } from './state.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const HEADER_4 = IPV4_HEADER;
const HEADER_6 = IPV6_HEADER;
const DESTINATION_AT_4 = IPV4_AT_DESTINATION;
const DESTINATION_AT_6 = IPV6_AT_DESTINATION;
const GUE_AT = IPV4_HEADER + UDP_HEADER;
const INNER_AT = IPV4_HEADER + UDP_HEADER + GUE_HEADER;

/**
 * With many VIPs, what a lookup reads is in no cache that is near, and takes longer to come than a packet takes to
 * handle. This reads it for all packets of a batch before the first is judged, many reads at once
 * (native-notes/performance.md). It decides nothing: a packet whose destination is not where it mostly is costs what it
 * would have cost.
 */
export class Foresight {
  private readonly cells4: Int32Array;
  private readonly cells6: Int32Array;
  /** Of no meaning: what is read must go somewhere, or V8 leaves the reading out. */
  unused = 0;

  constructor(capacity: number) {
    this.cells4 = new Int32Array(capacity);
    this.cells6 = new Int32Array(capacity);
  }

  /** @param wrapped 1 when the packets begin with the headers of a GUE packet */
  look({ vips }: PathState, batch: PacketBatch, wrapped: number): void {
    const { cells4, cells6 } = this;
    const { data, count } = batch;
    let count4 = 0;
    let count6 = 0;
    for (let i = 0; i < count; i++) {
      let at = batch.offset[i];
      const end = at + batch.length[i];
      if (wrapped === 1) {
        if (end - at < INNER_AT) continue;
        at += INNER_AT + ((data.getUint8(at + GUE_AT) & 0x1f) << 2);
      }
      if (end - at < HEADER_4) continue;
      const version = data.getUint8(at) >>> 4;
      if (version === 4) {
        const cell = vips.cell4(data.getInt32(at + DESTINATION_AT_4));
        if (cell >= 0) cells4[count4++] = cell;
      } else if (version === 6 && end - at >= HEADER_6) {
        const cell = vips.cell6(data, at + DESTINATION_AT_6);
        if (cell >= 0) cells6[count6++] = cell;
      }
    }
    this.unused = vips.fetch4(cells4, count4) ^ vips.fetch6(cells6, count6);
  }
}
