import fc from 'fast-check';
import { pseudoHeaderSum4, udpChecksum } from '../../../src/wire/checksum.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../../src/wire/tcp.js';
import { extended, optioned, reply, SPITEFUL } from '../mutants.js';
import { makePacket, makeTooBig, wrapPacket } from '../packets.js';

/** Arbitrary wrapped packets: mostly sound, wrong in every place now and then. */

const VERSION = fc.constantFrom(4 as const, 6 as const);
const FLAGS = fc.constantFrom(
  TCP_ACK,
  TCP_SYN,
  TCP_SYN | TCP_ACK,
  TCP_ACK | TCP_FIN,
  TCP_ACK | TCP_RST,
  TCP_FIN,
  0,
);
const PORT = fc.constantFrom(80, 7001, 53, 9999);

const plain = fc
  .record({
    version: VERSION,
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    flags: FLAGS,
    destinationPort: PORT,
    payload: fc.nat(40),
  })
  .map((spec) => makePacket(spec));

/** An ICMP message of any type, about a flow of a trafficset or of none. */
const icmp = fc
  .record({
    version: VERSION,
    type: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 8, 11, 12, 128, 129), fc.nat(255)),
    code: fc.constantFrom(0, 4),
    quote: fc.nat(60),
    port: PORT,
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    alteredQuote: fc.oneof(fc.constant(null), fc.tuple(fc.nat(60), fc.constantFrom(...SPITEFUL))),
  })
  .map(({ version, type, code, quote, port, protocol, alteredQuote }) => {
    const quoted = reply(version, { protocol, sourcePort: port });
    if (alteredQuote !== null) quoted[alteredQuote[0] % quoted.length] = alteredQuote[1];
    const packet = makeTooBig(quoted, 1300, quote);
    const at = version === 4 ? 20 : 40;
    packet[at] = type;
    packet[at + 1] = code;
    return packet;
  });

const EXTENSIONS = fc.constantFrom(0, 43, 44, 44, 50, 51, 59, 60, 135, 139, 140);
/** IPv6 with any chain of extension headers, some of which are no such thing. */
const chain = fc
  .tuple(
    fc.oneof(plain, icmp).filter((packet) => packet[0] >>> 4 === 6),
    fc.array(fc.tuple(EXTENSIONS, fc.constantFrom(0, 0, 0, 1, 2), fc.constantFrom(0, 0, 1, 8, 9)), {
      maxLength: 10,
    }),
  )
  .map(([packet, headers]) => {
    let next = packet[6];
    let body = Buffer.from(packet.subarray(40));
    for (const [type, units, fragment] of headers.reverse()) {
      const header = Buffer.alloc(8 + 8 * units);
      header.set([next, type === 51 ? 2 * units : units, fragment >>> 8, fragment & 0xff]);
      body = Buffer.concat([header, body]);
      next = type;
    }
    const whole = Uint8Array.from(Buffer.concat([packet.subarray(0, 40), body]));
    whole[6] = next;
    new DataView(whole.buffer).setUint16(4, body.length);
    return whole;
  });

const inner = fc.oneof(
  { weight: 6, arbitrary: plain },
  { weight: 4, arbitrary: icmp },
  { weight: 2, arbitrary: chain },
  { weight: 1, arbitrary: fc.constantFrom(extended(), optioned()) },
);

/** Something odd in one packet of sixteen. */
function mostly<T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 15, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
}

const HOPS = fc.constantFrom('10.0.3.1', '10.0.2.1', '10.0.1.1', '0.0.0.0', '203.0.113.9');
const wrapper = fc.record({
  hops: fc.oneof(
    { weight: 2, arbitrary: fc.constant(['10.0.3.1']) },
    { weight: 1, arbitrary: fc.array(HOPS, { maxLength: 4 }) },
  ),
  nextHop: mostly(0, 1, 1, 1, 2, 5),
  source: mostly('10.0.2.1', '192.168.0.1'),
  privateFlags: mostly(0, 8, 8, 8, 4, 12, 1, 2, 0x10),
  udpChecksum: mostly<number | 'none' | 'right'>('none', 'right', 0x1234),
  options: mostly(0, 4, 12),
  trailer: mostly(0, 6),
  padding: mostly(0, 5),
});

/** One byte somewhere: a bit flipped, a value that headers are sensitive to, or any. */
const edit = fc.tuple(
  fc.nat(1_000),
  fc.oneof(
    fc.nat(7).map((bit) => (byte: number) => byte ^ (1 << bit)),
    fc.constantFrom(...SPITEFUL).map((value) => () => value),
    fc.nat(255).map((value) => () => value),
  ),
);
const edits = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(edit, { minLength: 1, maxLength: 4 }) },
);
const cut = fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(1_000) });

/** From the outer IPv4 header to the last byte present. Without bias, which would spoil the first bytes of nearly all. */
export const wrappedPacket: fc.Arbitrary<Uint8Array> = fc
  .noBias(fc.tuple(inner, wrapper, edits, cut))
  .map(([packet, outer, changes, end]) => {
    const padded = Buffer.concat([packet, Buffer.alloc(outer.padding, 0xaa)]);
    const wrapped = wrap(padded, outer);
    for (const [at, change] of changes) wrapped[at % wrapped.length] = change(wrapped[at % wrapped.length]);
    return end === null ? wrapped : wrapped.subarray(0, end % wrapped.length);
  });

interface Outer {
  readonly hops: readonly string[];
  readonly nextHop: number;
  readonly source: string;
  readonly privateFlags: number;
  readonly udpChecksum: number | 'none' | 'right';
  readonly options: number;
  readonly trailer: number;
}

function wrap(packet: Uint8Array, outer: Outer): Uint8Array {
  const plainly = wrapPacket(packet, { hops: outer.hops, nextHop: outer.nextHop, source: outer.source });
  plainly[32] = outer.privateFlags;
  const data = new DataView(plainly.buffer);
  if (outer.udpChecksum === 'right') {
    const length = plainly.length - 20;
    const pseudo = pseudoHeaderSum4(data.getUint32(12), data.getUint32(16), 17, length);
    data.setUint16(26, udpChecksum(data, 20, length, pseudo));
  } else if (typeof outer.udpChecksum === 'number') {
    data.setUint16(26, outer.udpChecksum);
  }
  const bytes = new Uint8Array(plainly.length + outer.options + outer.trailer).fill(1);
  bytes.set(plainly.subarray(0, 20));
  bytes.set(plainly.subarray(20), 20 + outer.options);
  bytes[0] = 0x45 + outer.options / 4;
  new DataView(bytes.buffer).setUint16(2, plainly.length + outer.options);
  return bytes;
}
