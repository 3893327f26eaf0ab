import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Flow } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { fourTupleKey } from '../../src/flow/four-tuple.js';
import { halfSipHash24 } from '../../src/flow/halfsiphash.js';
import { formatIpv4, formatIpv6 } from '../../src/table/address.js';
import { makeTable } from '../../src/table/edit.js';
import { bucketOf, portFor } from '../../src/testbed/owner.js';

const table = makeTable({
  trafficset: 'web',
  hashKey: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  buckets: 1024,
  servers: [{ dip: 0x0a000101 }, { dip: 0x0a000201 }],
});

/** As the path computes it, from bytes that lie as in a packet. */
function bucketByPath(addresses: DataView, version: 4 | 6, ports: readonly [number, number]): number {
  const flow = new Flow();
  flow.data = addresses;
  flow.version = version;
  flow.sourceOffset = 0;
  flow.destinationOffset = version === 4 ? 4 : 16;
  const word = new DataView(new ArrayBuffer(4));
  ports.forEach((port, index) => {
    word.setUint16(2 * index, port);
  });
  flow.ports = word.getInt32(0, true);
  const key = new FlowKey();
  const length = fourTupleKey(flow, key);
  return halfSipHash24(key.words, length, table.key0, table.key1) & table.mask;
}

const word = fc.integer({ min: 0, max: 0xffffffff });
const port = fc.integer({ min: 0, max: 65535 });

describe('bucket of a connection as a client prints it', () => {
  it.each([4, 6] as const)('is the one that the path computes, IPv%i', (version) => {
    const length = version === 4 ? 1 : 4;
    const address = fc.array(word, { minLength: length, maxLength: length });
    fc.assert(
      fc.property(address, address, port, port, (source, destination, sourcePort, destinationPort) => {
        const bytes = new DataView(new ArrayBuffer(8 * length));
        [...source, ...destination].forEach((value, index) => {
          bytes.setUint32(4 * index, value);
        });
        const print = (words: number[]) => (version === 4 ? formatIpv4(words[0]) : formatIpv6(words));
        const bucket = bucketOf(table, {
          local: { address: print(source), port: sourcePort },
          remote: { address: print(destination), port: destinationPort },
        });
        expect(bucket).toBe(bucketByPath(bytes, version, [sourcePort, destinationPort]));
      }),
    );
  });
});

describe('a port for a server', () => {
  const remote = { address: '192.0.2.1', port: 80 };
  const address = '198.51.100.3';

  it('puts the connection into a bucket of that server', () => {
    for (const server of [1, 2]) {
      const port = portFor(table, server, { address, first: 20_000, remote });
      const bucket = bucketOf(table, { local: { address, port }, remote });
      expect(table.firstHop(bucket)).toBe(server === 1 ? 0x0a000101 : 0x0a000201);
      expect(port).toBeGreaterThanOrEqual(20_000);
      expect(port).toBeLessThan(21_000);
    }
  });

  it('is not to be had for a server that owns nothing', () => {
    expect(() => portFor(table, 3, { address, first: 20_000, remote })).toThrow(
      'no port of 198.51.100.3 belongs to s3',
    );
  });
});
