import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6, parsePrefix } from '../../src/table/address.js';
import { TableError } from '../../src/table/errors.js';
import { ALL_PORTS, type PortRange, type TrafficsetConfig } from '../../src/table/trafficset.js';
import { NO_SERVICE, NOT_VIP, VipMatcher } from '../../src/table/vip-matcher.js';
import { hasConflict, matchLinearly } from './linear-vips.js';

const TCP = 6;
const UDP = 17;

function trafficset(
  name: string,
  vips: readonly string[],
  ports: readonly PortRange[] = [ALL_PORTS],
  kind: TrafficsetConfig['kind'] = 'tcp',
): TrafficsetConfig {
  return {
    name,
    kind,
    vips: vips.map(parsePrefix),
    ports,
    dissector: FOUR_TUPLE_SPEC,
    table: `${name}.table`,
  };
}

const port = (first: number, last = first): PortRange => ({ first, last });

function match(matcher: VipMatcher, address: string, protocol: number, portNumber: number): number {
  if (!address.includes(':')) return matcher.match4(parseIpv4(address), protocol, portNumber);
  // At an odd offset between other bytes, as in a packet.
  const data = new DataView(new ArrayBuffer(24));
  for (let byte = 0; byte < 24; byte++) data.setUint8(byte, 0xa5);
  for (const [word, value] of parseIpv6(address).entries()) data.setUint32(3 + 4 * word, value);
  return matcher.match6(data, 3, protocol, portNumber);
}

describe('VipMatcher', () => {
  it('knows no VIP without trafficsets', () => {
    const matcher = VipMatcher.build([]);
    for (const address of ['0.0.0.0', '255.255.255.255', '::', 'ffff::']) {
      expect(match(matcher, address, TCP, 80)).toBe(NOT_VIP);
    }
  });

  it('matches the edges of a range and nothing beside it', () => {
    const matcher = VipMatcher.build([trafficset('web', ['192.0.2.0/24', '2001:db8:100::/64'], [port(80)])]);
    for (const address of [
      '192.0.2.0',
      '192.0.2.255',
      '2001:db8:100::',
      '2001:db8:100:0:ffff:ffff:ffff:ffff',
    ]) {
      expect(match(matcher, address, TCP, 80)).toBe(0);
      expect(match(matcher, address, TCP, 81)).toBe(NO_SERVICE);
      expect(match(matcher, address, UDP, 80)).toBe(NO_SERVICE);
      expect(match(matcher, address, 47, -1)).toBe(NO_SERVICE);
    }
    for (const address of [
      '192.0.1.255',
      '192.0.3.0',
      '0.0.0.0',
      '2001:db8:100:1::',
      '2001:db8:ff:ffff::',
      '::',
    ]) {
      expect(match(matcher, address, TCP, 80)).toBe(NOT_VIP);
    }
  });

  it('matches single addresses at both ends of the address space, and everything', () => {
    const ends = VipMatcher.build([
      trafficset('low', ['0.0.0.0', '::']),
      trafficset('high', ['255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']),
    ]);
    expect(match(ends, '0.0.0.0', TCP, 1)).toBe(0);
    expect(match(ends, '0.0.0.1', TCP, 1)).toBe(NOT_VIP);
    expect(match(ends, '255.255.255.254', TCP, 1)).toBe(NOT_VIP);
    expect(match(ends, '255.255.255.255', TCP, 1)).toBe(1);
    expect(match(ends, '::', TCP, 1)).toBe(0);
    expect(match(ends, '::1', TCP, 1)).toBe(NOT_VIP);
    expect(match(ends, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe', TCP, 1)).toBe(NOT_VIP);
    expect(match(ends, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', TCP, 1)).toBe(1);

    const everything = VipMatcher.build([trafficset('all', ['0.0.0.0/0', '::/0'])]);
    for (const address of ['0.0.0.0', '128.0.0.0', '255.255.255.255', '::', '8000::', 'ffff::']) {
      expect(match(everything, address, TCP, 0)).toBe(0);
    }
  });

  it('prefers the longest prefix that has a rule for the port', () => {
    const matcher = VipMatcher.build([
      trafficset('default', ['0.0.0.0/0']),
      trafficset('site', ['10.0.0.0/8'], [port(80), port(443)]),
      trafficset('host', ['10.1.2.3'], [port(443)]),
      trafficset('dns', ['10.1.0.0/16'], [port(53)], 'request-response'),
    ]);
    expect(match(matcher, '10.1.2.3', TCP, 443)).toBe(2);
    expect(match(matcher, '10.1.2.3', TCP, 80)).toBe(1);
    expect(match(matcher, '10.1.2.3', TCP, 22)).toBe(0);
    expect(match(matcher, '10.1.2.3', UDP, 53)).toBe(3);
    expect(match(matcher, '10.1.2.3', UDP, 54)).toBe(NO_SERVICE);
    expect(match(matcher, '10.2.0.0', UDP, 53)).toBe(NO_SERVICE);
    expect(match(matcher, '11.0.0.0', TCP, 443)).toBe(0);
  });

  it('prefers the narrower port range on the same prefix', () => {
    const matcher = VipMatcher.build([
      trafficset('wide', ['10.0.0.0/8']),
      trafficset('narrow', ['10.0.0.0/8'], [port(8000, 8999)]),
      trafficset('one', ['10.0.0.0/8'], [port(8443)]),
    ]);
    const at = (portNumber: number) => match(matcher, '10.9.9.9', TCP, portNumber);
    expect([0, 7999, 8000, 8442, 8443, 8444, 8999, 9000, 65535].map(at)).toEqual([0, 0, 1, 1, 2, 1, 1, 0, 0]);
  });

  it('answers without a port by the most specific rule of the protocol', () => {
    const matcher = VipMatcher.build([
      trafficset('wide', ['10.0.0.0/8']),
      trafficset('narrow', ['10.0.0.0/8'], [port(8000, 8999)]),
      trafficset('udp', ['10.0.0.0/16'], [port(53)], 'udp-flow'),
      trafficset('first', ['10.0.1.0/24'], [port(443)]),
      trafficset('second', ['10.0.1.0/24'], [port(80)]),
    ]);
    expect(match(matcher, '10.0.0.1', TCP, -1)).toBe(1);
    expect(match(matcher, '10.0.0.1', UDP, -1)).toBe(2);
    expect(match(matcher, '10.1.0.0', UDP, -1)).toBe(NO_SERVICE);
    expect(match(matcher, '10.0.1.1', TCP, -1)).toBe(3);
    expect(match(matcher, '11.0.0.1', TCP, -1)).toBe(NOT_VIP);
  });

  it('refuses rules of two trafficsets of which neither is more specific', () => {
    const build = (
      a: readonly PortRange[],
      b: readonly PortRange[],
      kind: TrafficsetConfig['kind'] = 'tcp',
    ) =>
      VipMatcher.build([
        trafficset('a', ['10.0.0.0/8'], a),
        trafficset('b', ['::/0', '10.0.0.0/8'], b, kind),
      ]);
    const conflict = expect.objectContaining({ code: 'rule-conflict' });
    expect(() => build([port(80)], [port(80)])).toThrow(conflict);
    expect(() => build([ALL_PORTS], [ALL_PORTS])).toThrow(conflict);
    expect(() => build([port(1, 10)], [port(5, 20)])).toThrow(conflict);
    expect(() => build([port(1, 10)], [port(10, 11)])).toThrow(
      'trafficsets a (ports 1-10) and b (ports 10-11) both claim 10.0.0.0/8, and neither is more specific',
    );
    expect(() => build([port(1, 10)], [port(1, 9)])).not.toThrow();
    expect(() => build([port(1, 10)], [port(11, 12)])).not.toThrow();
    expect(() => build([port(80)], [port(80)], 'udp-flow')).not.toThrow();
    expect(() => build([port(1, 10), port(5, 20)], [port(30)])).not.toThrow();
  });

  it('keeps one interval where neighbours or nested ranges mean the same', () => {
    const intervals = (vips: readonly string[]) =>
      VipMatcher.build([trafficset('web', vips), trafficset('dns', ['::/0'])]).shared().ipv4.services.length;
    const one = intervals(['10.0.0.0/8']);
    expect(one).toBe(3);
    expect(intervals(['10.0.0.0/9', '10.128.0.0/9'])).toBe(one);
    expect(intervals(['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '10.255.0.0/16'])).toBe(one);
  });

  it('is the same when taken up from shared memory by a clone', () => {
    const trafficsets = [trafficset('web', ['192.0.2.0/24', '2001:db8::/32'], [port(80), port(443)])];
    const matcher = VipMatcher.build(trafficsets);
    const copy = VipMatcher.fromShared(structuredClone(matcher.shared()));
    expect(match(copy, '192.0.2.7', TCP, 443)).toBe(0);
    expect(match(copy, '2001:db8::7', TCP, 443)).toBe(0);
    expect(match(copy, '192.0.3.0', TCP, 443)).toBe(NOT_VIP);
    expect(copy.shared().ipv4.starts.buffer).toBeInstanceOf(SharedArrayBuffer);
  });
});

describe('VipMatcher against a linear scan', () => {
  // Few bits vary, so that prefixes nest, touch and share stems.
  const address4 = fc
    .tuple(fc.constantFrom(0, 0x0a000000, 0x0a0000f0, 0xc0000200, 0xfffffff0), fc.nat(15))
    .map(([base, low]) => (base | low) >>> 0);
  const prefix4 = fc
    .tuple(address4, fc.constantFrom(0, 1, 8, 24, 27, 28, 29, 30, 31, 32))
    .map(
      ([address, length]) =>
        `${formatIpv4(length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0)}/${length}`,
    );
  const address6 = fc
    .tuple(
      fc.constantFrom(0, 0x20010db8, 0xffffffff),
      fc.constantFrom(0, 1, 0xffffffff),
      fc.constantFrom(0, 0x80000000, 0xffffffff),
      fc.nat(7),
    )
    .map(([a, b, c, d]) => Uint32Array.of(a, b, c, c === 0xffffffff ? -d : d));
  const prefix6 = fc
    .tuple(address6, fc.constantFrom(0, 1, 32, 63, 64, 65, 95, 96, 97, 125, 126, 127, 128))
    .map(([words, length]) => {
      const masked = words.map((value, word) => {
        const bits = Math.min(32, Math.max(0, length - 32 * word));
        return bits === 0 ? 0 : value & (-1 << (32 - bits));
      });
      return `${formatIpv6(masked)}/${length}`;
    });
  const ranges = fc.uniqueArray(
    fc.constantFrom(
      port(80),
      port(81),
      port(443),
      port(80, 89),
      port(8000, 8999),
      port(8100, 8199),
      port(8150, 8250),
      ALL_PORTS,
    ),
    { minLength: 1, maxLength: 3 },
  );
  const kinds = fc.constantFrom('tcp', 'tcp', 'udp-flow', 'request-response');
  const trafficsets = fc
    .array(fc.tuple(kinds, fc.array(fc.oneof(prefix4, prefix6), { minLength: 1, maxLength: 6 }), ranges), {
      maxLength: 5,
    })
    .map((list) => list.map(([kind, vips, ports], index) => trafficset(`t${index}`, vips, ports, kind)));
  const ports = fc.constantFrom(-1, 0, 79, 80, 81, 82, 443, 8000, 8099, 8100, 8150, 8200, 8251, 9000, 65535);

  it('agrees on every address, protocol and port, or both see a conflict', () => {
    let built = 0;
    fc.assert(
      fc.property(
        trafficsets,
        fc.array(fc.tuple(address4, address6, fc.constantFrom(TCP, UDP, 1), ports), {
          minLength: 30,
          maxLength: 30,
        }),
        (list, questions) => {
          if (hasConflict(list)) {
            expect(() => VipMatcher.build(list)).toThrow(TableError);
            return;
          }
          built++;
          const matcher = VipMatcher.build(list);
          // The neighbours of every VIP range, besides random addresses.
          const edges = list.flatMap(({ vips }) =>
            vips.filter((vip) => vip.version === 4).map((vip) => vip.words[0]),
          );
          for (const edge of edges) {
            for (const address of [edge, (edge - 1) >>> 0, (edge + 1) >>> 0]) {
              expect(matcher.match4(address, TCP, 80)).toBe(matchLinearly(list, address, TCP, 80));
            }
          }
          for (const [v4, v6, protocol, portNumber] of questions) {
            expect(matcher.match4(v4, protocol, portNumber)).toBe(
              matchLinearly(list, v4, protocol, portNumber),
            );
            expect(match(matcher, formatIpv6(v6), protocol, portNumber)).toBe(
              matchLinearly(list, v6, protocol, portNumber),
            );
          }
        },
      ),
      { numRuns: 600 },
    );
    expect(built).toBeGreaterThan(200);
  });

  it('agrees on thousands of scattered and of crowded ranges', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(6, 12, 24), (seed, spread) => {
        // A multiplicative walk: cheap, repeatable, and no two seeds alike.
        let state = seed | 1;
        const next = () => {
          state = Math.imul(state, 0x2c1b3c6d) + 0x297a2d39;
          return (state ^ (state >>> 15)) >>> 0;
        };
        const hosts = Array.from({ length: 300 }, () => (0x0a000000 + (next() >>> spread)) >>> 0);
        const list = [
          trafficset('v4', hosts.map(formatIpv4), [port(80)]),
          trafficset(
            'v6',
            hosts.map((host) => `${formatIpv6([0x20010db8, host >>> 16, host, 0])}/96`),
          ),
        ];
        const matcher = VipMatcher.build(list);
        for (const host of hosts) {
          for (const address of [host, (host + 1) >>> 0, (host - 1) >>> 0]) {
            expect(matcher.match4(address, TCP, 80)).toBe(matchLinearly(list, address, TCP, 80));
            const words = Uint32Array.of(0x20010db8, address >>> 16, address, next());
            expect(match(matcher, formatIpv6(words), TCP, 80)).toBe(matchLinearly(list, words, TCP, 80));
          }
        }
      }),
      { numRuns: 6 },
    );
  });
});
