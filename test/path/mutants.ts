import { TCP_ACK } from '../../src/wire/tcp.js';
import {
  CLIENT4,
  CLIENT6,
  makePacket,
  makeTooBig,
  type PacketSpec,
  VIP4,
  VIP6,
  wrapPacket,
} from './packets.js';

/** Packets of every kind for the path, and a way to spoil them. */

/** What the service at the VIP answers: what ICMP errors quote. */
export function reply(version: 4 | 6, overrides: PacketSpec = {}): Uint8Array {
  const [source, destination] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
  const spec = { version, source, destination, sourcePort: 80, destinationPort: 40_000, payload: 60 };
  return makePacket({ ...spec, ...overrides });
}

/** An IPv6 packet with hop-by-hop, routing, destination options and an atomic fragment header. */
export function extended(): Uint8Array {
  const plain = makePacket({ version: 6 });
  const headers = Uint8Array.from([
    ...[43, 0, 1, 4, 0, 0, 0, 0],
    ...[60, 0, 4, 0, 0, 0, 0, 0],
    ...[44, 0, 1, 4, 0, 0, 0, 0],
    ...[6, 0, 0, 0, 1, 2, 3, 4],
  ]);
  const bytes = new Uint8Array(plain.length + headers.length);
  bytes.set(plain.subarray(0, 40));
  bytes.set(headers, 40);
  bytes.set(plain.subarray(40), 40 + headers.length);
  bytes[6] = 0;
  new DataView(bytes.buffer).setUint16(4, bytes.length - 40);
  return bytes;
}

/** An IPv4 packet with twelve bytes of options. */
export function optioned(): Uint8Array {
  const plain = makePacket();
  const bytes = new Uint8Array(plain.length + 12).fill(1);
  bytes.set(plain.subarray(0, 20));
  bytes.set(plain.subarray(20), 32);
  bytes[0] = 0x48;
  new DataView(bytes.buffer).setUint16(2, bytes.length);
  return bytes;
}

export const VIP_PACKETS = [
  makePacket(),
  makePacket({ flags: TCP_ACK }),
  makePacket({ version: 6 }),
  makePacket({ version: 6, flags: TCP_ACK }),
  makePacket({ protocol: 'udp', destinationPort: 7001 }),
  makePacket({ protocol: 'udp', destinationPort: 53 }),
  makeTooBig(reply(4), 1300),
  makeTooBig(reply(6), 1300),
  extended(),
  optioned(),
];
export const GUE_PACKETS = VIP_PACKETS.flatMap((packet) => [
  wrapPacket(packet),
  wrapPacket(packet, { hops: ['10.0.3.1'] }),
  wrapPacket(packet, { hops: ['10.0.3.1', '10.0.2.1'], nextHop: 1 }),
]);

/** Small, fast and repeatable (xorshift32). */
export function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Values that headers are most sensitive to. */
export const SPITEFUL = [
  0, 1, 2, 4, 5, 6, 15, 17, 31, 41, 43, 44, 51, 58, 60, 63, 64, 127, 128, 192, 254, 255,
];

/** A copy with up to four bytes changed, and sometimes cut. */
export function mutate(packet: Uint8Array, random: (bound: number) => number): Uint8Array {
  const mutant = Uint8Array.from(packet);
  for (let changes = random(4); changes >= 0; changes--) {
    const at = random(mutant.length);
    const kind = random(3);
    if (kind === 0) mutant[at] ^= 1 << random(8);
    else if (kind === 1) mutant[at] = SPITEFUL[random(SPITEFUL.length)];
    else mutant[at] = random(256);
  }
  return random(4) === 0 ? mutant.subarray(0, random(mutant.length + 1)) : mutant;
}
