import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { parsePrefix } from '../../src/table/address.js';
import { ALL_PORTS, type TrafficsetConfig } from '../../src/table/trafficset.js';
import { VipMatcher } from '../../src/table/vip-matcher.js';
import { IP_PROTOCOL_TCP } from '../../src/wire/ip.js';

/** What VIP ranges cost: reading and compiling many of them, and asking for one address, in small and large tables. */

const RANGES = 100_000;
const LOOKUPS = 2_000_000;
const ROUNDS = 5;

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** A third each: /32 and /28 scattered over 10.0.0.0/7, and IPv6 /64; no two alike, in no order. */
export function manyRanges(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const scattered = (index * 40_503) & 0x1fffff;
    if (index % 3 === 0) return `10.${scattered >> 13}.${(scattered >> 5) & 255}.${(scattered & 31) << 3}`;
    if (index % 3 === 1)
      return `11.${(scattered >> 12) & 255}.${(scattered >> 4) & 255}.${(scattered & 15) << 4}/28`;
    return `2001:db8:${(scattered >> 8).toString(16)}:${(scattered & 255).toString(16)}::/64`;
  });
}

export async function benchVips(): Promise<Figure[]> {
  const texts = manyRanges(RANGES);
  const figures: Figure[] = [];

  const parse = bestOf(() => texts.map(parsePrefix));
  figures.push({ name: `vips: parse ${RANGES} ranges`, value: parse.milliseconds, unit: 'ms' });
  const build = bestOf(() => VipMatcher.build([trafficset(texts)]));
  figures.push({ name: `vips: parse and build ${RANGES} ranges`, value: build.milliseconds, unit: 'ms' });

  const small = VipMatcher.build([trafficset(['192.0.2.0/24', '2001:db8:100::/64'])]);
  const questions = 1 << 16;
  const addresses = (base: number, bits: number) => {
    const list = new Uint32Array(questions);
    for (let at = 0; at < questions; at++) list[at] = base | (Math.imul(at, 0x9e3779b1) >>> (32 - bits));
    return list;
  };
  const hit4 = addresses(0xc0000200, 8);
  figures.push(lookup4('one IPv4 range, VIP', small, hit4));
  figures.push(lookup4('one IPv4 range, no VIP', small, addresses(0x0a000000, 24)));
  figures.push(lookup4(`${RANGES} ranges, IPv4, half of them VIPs`, build.result, addresses(0x0a000000, 25)));
  figures.push(lookup6('one IPv6 range, VIP', small, addresses(0x01000000, 1)));
  figures.push(lookup6(`${RANGES} ranges, IPv6, most of them VIPs`, build.result, addresses(0, 29)));
  return figures;
}

function trafficset(vips: readonly string[]): TrafficsetConfig {
  return {
    name: 'bench',
    kind: 'tcp',
    vips: vips.map(parsePrefix),
    ports: [ALL_PORTS],
    dissector: FOUR_TUPLE_SPEC,
    table: '',
  };
}

function lookup4(name: string, matcher: VipMatcher, addresses: Uint32Array): Figure {
  const mask = addresses.length - 1;
  const { milliseconds } = bestOf(() => {
    let sum = 0;
    for (let at = 0; at < LOOKUPS; at++) sum += matcher.match4(addresses[at & mask], IP_PROTOCOL_TCP, 443);
    return sum;
  });
  return { name: `vips: lookup, ${name}`, value: (milliseconds * 1e6) / LOOKUPS, unit: 'ns' };
}

/** @param seconds the second 32 bits of each address, behind 2001:db8 */
function lookup6(name: string, matcher: VipMatcher, seconds: Uint32Array): Figure {
  const data = new DataView(new ArrayBuffer(16 * seconds.length));
  for (const [at, second] of seconds.entries()) {
    data.setUint32(16 * at, 0x20010db8);
    data.setUint32(16 * at + 4, second);
  }
  const mask = seconds.length - 1;
  const { milliseconds } = bestOf(() => {
    let sum = 0;
    for (let at = 0; at < LOOKUPS; at++) sum += matcher.match6(data, 16 * (at & mask), IP_PROTOCOL_TCP, 443);
    return sum;
  });
  return { name: `vips: lookup, ${name}`, value: (milliseconds * 1e6) / LOOKUPS, unit: 'ns' };
}

function bestOf<T>(run: () => T): { milliseconds: number; result: T } {
  let milliseconds = Number.POSITIVE_INFINITY;
  let result = run();
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    result = run();
    milliseconds = Math.min(milliseconds, performance.now() - start);
  }
  return { milliseconds, result };
}
