import fc from 'fast-check';
import { pseudoHeaderSum4, udpChecksum } from '../../../src/wire/checksum.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../../src/wire/tcp.js';
import { extended, optioned, reply, SPITEFUL } from '../mutants.js';
import { makePacket, makeTooBig, wrapPacket } from '../packets.js';

/** Arbitrary wrapped packets: mostly sound, wrong in every place now and then. */

/** The usual value, or something odd in one packet of sixteen. */
function mostly<T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> {
  return mostlyOf(15, fc.constant(usual), fc.constantFrom(...odd));
}

function mostlyOf<T>(weight: number, usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

const VERSION = fc.constantFrom(4 as const, 6 as const);
const PROTOCOL = fc.constantFrom('tcp' as const, 'udp' as const);
const PORT = fc.constantFrom(80, 7001, 53, 9999);
const FLAGS = fc.constantFrom(
  ...[TCP_ACK, TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK | TCP_FIN, TCP_ACK | TCP_RST, TCP_FIN, 0],
);

const plain = fc
  .record({ version: VERSION, protocol: PROTOCOL, flags: FLAGS, destinationPort: PORT, payload: fc.nat(40) })
  .map((spec) => makePacket(spec));

/** Extension headers, some of which are no such thing. */
const extensions = fc.array(
  fc.record({
    type: fc.constantFrom(0, 43, 44, 44, 50, 51, 59, 60, 135, 139, 140),
    /** Length beyond the first 8 bytes, in units of 8. */
    units: fc.constantFrom(0, 0, 0, 1, 2),
    /** Offset and flags, if it is a fragment header. */
    fragment: fc.constantFrom(0, 0, 1, 8, 9),
  }),
  { maxLength: 10 },
);
type Extensions = typeof extensions extends fc.Arbitrary<infer List> ? List : never;

/** An IPv6 packet with these headers between its own and the rest; one of IPv4 as it is. */
function withExtensions(packet: Uint8Array, headers: Extensions): Uint8Array {
  if (packet[0] >>> 4 !== 6) return packet;
  let next = packet[6];
  let body = Buffer.from(packet.subarray(40));
  for (const { type, units, fragment } of headers.toReversed()) {
    const header = Buffer.alloc(8 + 8 * units);
    header.set([next, type === 51 ? 2 * units : units, fragment >>> 8, fragment & 0xff]);
    body = Buffer.concat([header, body]);
    next = type;
  }
  const longer = Uint8Array.from(Buffer.concat([packet.subarray(0, 40), body]));
  longer[6] = next;
  new DataView(longer.buffer).setUint16(4, body.length);
  return longer;
}

const oneByte = fc.tuple(
  fc.oneof(fc.constantFrom(0, 3, 5, 6, 9, 20, 32, 40), fc.nat(70)),
  fc.constantFrom(...SPITEFUL),
);

/** An ICMP message of any type, about a flow of a trafficset or of none. */
const icmp = fc
  .record({
    version: VERSION,
    type: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 8, 11, 12, 128, 129), fc.nat(255)),
    code: fc.constantFrom(0, 4),
    quote: fc.nat(100),
    port: PORT,
    protocol: PROTOCOL,
    headers: mostlyOf(2, fc.constant<Extensions>([]), extensions),
    altered: mostlyOf(2, fc.constant(null), oneByte),
  })
  .map(({ version, type, code, quote, port, protocol, headers, altered }) => {
    const quoted = withExtensions(reply(version, { protocol, sourcePort: port }), headers);
    if (altered !== null) quoted[altered[0] % quoted.length] = altered[1];
    const packet = makeTooBig(quoted, 1300, quote);
    const at = version === 4 ? 20 : 40;
    packet[at] = type;
    packet[at + 1] = code;
    return packet;
  });

const sound = fc.oneof(
  { weight: 6, arbitrary: plain },
  { weight: 4, arbitrary: icmp },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.oneof(plain, icmp), extensions)
      .map(([packet, headers]) => withExtensions(packet, headers)),
  },
  { weight: 1, arbitrary: fc.constantFrom(extended(), optioned()) },
);
const inner = mostlyOf(
  4,
  sound,
  fc.tuple(sound, oneByte).map(([packet, [at, value]]) => packet.with(at % packet.length, value)),
);

const HOPS: fc.Arbitrary<string> = fc.constantFrom(
  '10.0.3.1',
  '10.0.2.1',
  '10.0.1.1',
  '0.0.0.0',
  '203.0.113.9',
);
const wrapper = fc.record({
  hops: mostlyOf(2, fc.constant<string[]>(['10.0.3.1']), fc.array(HOPS, { maxLength: 4 })),
  nextHop: mostly(0, 1, 1, 1, 2, 5),
  source: mostly('10.0.2.1', '192.168.0.1'),
  privateFlags: mostly(0, 8, 8, 8, 4, 12, 1, 2, 0x10),
  udpChecksum: mostly<number | 'none' | 'right'>('none', 'right', 0x1234),
  options: mostly(0, 4, 12),
  /** Bytes behind the outer packet, and behind the inner one. */
  trailer: mostly(0, 6),
  padding: mostly(0, 5),
});
type Wrapper = typeof wrapper extends fc.Arbitrary<infer Outer> ? Outer : never;

/** One byte anywhere: a bit flipped, a value that headers are sensitive to, or any. */
type Edit = readonly [at: number, change: (byte: number) => number];
const edit: fc.Arbitrary<Edit> = fc.tuple(
  fc.nat(1_000),
  fc.oneof(
    fc.nat(7).map((bit) => (byte: number) => byte ^ (1 << bit)),
    fc.constantFrom(...SPITEFUL).map((value) => () => value),
    fc.nat(255).map((value) => () => value),
  ),
);
const edits = mostlyOf<Edit[]>(3, fc.constant([]), fc.array(edit, { minLength: 1, maxLength: 4 }));
const cut = mostlyOf<number | null>(20, fc.constant(null), fc.nat(1_000));

/** From the outer IPv4 header to the last byte present. Without bias, which would spoil the first bytes of nearly all. */
export const wrappedPacket: fc.Arbitrary<Uint8Array> = fc
  .noBias(fc.tuple(inner, wrapper, edits, cut))
  .map(([packet, outer, changes, end]) => {
    const wrapped = wrap(packet, outer);
    for (const [at, change] of changes) wrapped[at % wrapped.length] = change(wrapped[at % wrapped.length]);
    return end === null ? wrapped : wrapped.subarray(0, 1 + (end % wrapped.length));
  });

function wrap(packet: Uint8Array, outer: Wrapper): Uint8Array {
  const padded = Buffer.concat([packet, Buffer.alloc(outer.padding, 0xaa)]);
  const plainly = wrapPacket(padded, { hops: outer.hops, nextHop: outer.nextHop, source: outer.source });
  plainly[32] = outer.privateFlags;
  const data = new DataView(plainly.buffer);
  if (outer.udpChecksum === 'right') {
    const length = plainly.length - 20;
    const pseudo = pseudoHeaderSum4(data.getUint32(12), data.getUint32(16), 17, length);
    data.setUint16(26, udpChecksum(data, 20, length, pseudo));
  } else if (outer.udpChecksum !== 'none') {
    data.setUint16(26, outer.udpChecksum);
  }
  const bytes = new Uint8Array(plainly.length + outer.options + outer.trailer).fill(1);
  bytes.set(plainly.subarray(0, 20));
  bytes.set(plainly.subarray(20), 20 + outer.options);
  bytes[0] = 0x45 + outer.options / 4;
  new DataView(bytes.buffer).setUint16(2, plainly.length + outer.options);
  return bytes;
}
