import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { ENCAPSULATION_BASE, encapsulate, HOP_LENGTH } from '../../src/path/encapsulate.js';
import { parseIpv4 } from '../../src/table/address.js';
import { encodeGueHopsInto } from '../../src/wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP, IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into, IPV4_HEADER } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeUdpInto } from '../../src/wire/udp.js';
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

  it('writes what the encoders of the wire room write, one after the other', () => {
    const address = fc.nat(0xffffffff);
    const port = fc.nat(0xffff);
    fc.assert(
      fc.property(
        fc.record({ source: address, destination: address, hop: fc.oneof(fc.constant(0), address) }),
        fc.record({ sourcePort: port, port, length: fc.nat(9000), version: fc.constantFrom(4, 6) }),
        fc.nat(1),
        ({ source, destination, hop }, { sourcePort, port, length, version }, nextHop) => {
          const [data, twin] = [0x00, 0xa5].map((fill) => new DataView(new Uint8Array(40).fill(fill).buffer));
          const size = encapsulate(
            data,
            40,
            length,
            version,
            source,
            destination,
            sourcePort,
            port,
            hop,
            nextHop,
          );
          let at = 40 - size;
          at += encodeIpv4Into(twin, at, size + length, IP_PROTOCOL_UDP, source, destination);
          at += encodeUdpInto(twin, at, sourcePort, port, size + length - IPV4_HEADER);
          const protocol = version === 4 ? IP_PROTOCOL_IPIP : IP_PROTOCOL_IPV6;
          at += encodeGueHopsInto(twin, at, protocol, hop === 0 ? [] : [hop], nextHop);
          expect(at).toBe(40);
          const written = (view: DataView) =>
            Buffer.from(view.buffer)
              .subarray(40 - size)
              .toString('hex');
          expect(written(data)).toBe(written(twin));
        },
      ),
    );
  });
});
