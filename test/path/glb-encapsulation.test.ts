import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { ENCAPSULATION_BASE, encapsulate, HOP_LENGTH } from '../../src/path/encapsulate.js';
import { parseIpv4 } from '../../src/table/address.js';
import { IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';
import { ETHERNET_HEADER, ipOfFrame, readVectors } from '../vectors.js';

interface GlbFile {
  readonly configs: Record<
    string,
    {
      readonly outbound_src_ip: string;
      readonly vectors: ReadonlyArray<{
        readonly in: string;
        readonly hops?: readonly string[];
        readonly udp_sport?: number;
        readonly out_udp0?: string;
      }>;
    }
  >;
}

const GLB_PORT = 19523;

describe('encapsulation', () => {
  const { configs } = readVectors<GlbFile>('glb-director');

  it.each(Object.keys(configs))("writes GitHub's bytes: %s", (name) => {
    const config = configs[name];
    const source = parseIpv4(config.outbound_src_ip);
    let compared = 0;
    for (const vector of config.vectors) {
      // A list of three comes from GLB's second hash and is not ours.
      if (vector.out_udp0 === undefined || vector.hops?.length !== 2) continue;
      const batch = new PacketBatch({ capacity: 1 });
      batch.push(ipOfFrame(vector.in));
      const inner = new IpPacket();
      const offset = batch.offset[0];
      expect(inner.parse(batch.data, offset, offset + batch.length[0])).toBe(Reason.Ok);
      batch.bytes.fill(0xa5, 0, offset);
      const overhead = encapsulate(
        batch.data,
        offset,
        inner.end - offset,
        inner.version,
        source,
        parseIpv4(vector.hops[0]),
        vector.udp_sport ?? 0,
        GLB_PORT,
        parseIpv4(vector.hops[1]),
        0,
      );
      expect(overhead).toBe(ENCAPSULATION_BASE + HOP_LENGTH);
      const written = batch.bytes.subarray(offset - overhead, inner.end).toString('hex');
      // What GLB's XDP director leaves behind the outer packet's end is padding of the frame it got.
      const expected = vector.out_udp0.slice(ETHERNET_HEADER * 2);
      expect(written).toBe(expected.slice(0, written.length));
      compared++;
    }
    expect(compared).toBeGreaterThan(500);
  });
});
