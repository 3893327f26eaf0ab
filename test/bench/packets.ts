import { encapsulate } from '../../src/path/encapsulate.js';
import { checksum } from '../../src/wire/checksum.js';

/** Packets for the benchmarks: ordinary ones of many flows, and odd ones for the comparison with the twin. */

/** Numbers 0 .. 2^32-1 from a seed (mulberry32), so that every run measures the same packets. */
export class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

export const TCP = 6;
export const UDP = 17;
export const SYN = 0x02;
export const ACK = 0x10;

/** IPv4: the last 32 bits. IPv6: the last 32 bits behind a fixed 2001:db8 prefix. */
export interface PacketFields {
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcpFlags: number;
  /** Of the whole IP packet, in bytes. */
  readonly length: number;
}

/** Clients' IPv6 addresses: 2001:db8:c::/96 and 32 bits. */
export const CLIENTS6 = [0x20010db8, 0x000c0000, 0] as const;
/** VIPs: 2001:db8:100::/96 and 32 bits. */
export const VIPS6 = [0x20010db8, 0x01000000, 0] as const;

export function buildPacket(fields: PacketFields): Uint8Array {
  const bytes = new Uint8Array(fields.length);
  const data = new DataView(bytes.buffer);
  const transport = fields.version === 4 ? 20 : 40;
  if (fields.version === 4) {
    writeIpv4(data, fields.protocol, fields.source, fields.destination, fields.length);
  } else {
    data.setUint32(0, 0x60000000);
    data.setUint16(4, fields.length - 40);
    data.setUint8(6, fields.protocol);
    data.setUint8(7, 64);
    for (const [word, value] of [...CLIENTS6, fields.source, ...VIPS6, fields.destination].entries()) {
      data.setUint32(8 + 4 * word, value);
    }
  }
  data.setUint16(transport, fields.sourcePort);
  data.setUint16(transport + 2, fields.destinationPort);
  if (fields.protocol === TCP) {
    data.setUint32(transport + 4, Math.imul(fields.source ^ fields.sourcePort, 0x9e3779b1));
    data.setUint8(transport + 12, 0x50);
    data.setUint8(transport + 13, fields.tcpFlags);
  } else {
    data.setUint16(transport + 4, fields.length - transport);
  }
  return bytes;
}

function writeIpv4(
  data: DataView,
  protocol: number,
  source: number,
  destination: number,
  length: number,
): void {
  data.setUint8(0, 0x45);
  data.setUint16(2, length);
  data.setUint8(8, 64);
  data.setUint8(9, protocol);
  data.setUint32(12, source);
  data.setUint32(16, destination);
  data.setUint16(10, checksum(data, 0, 20));
}

/** Wraps a packet as a forwarder at `source` sends it to `dip`, with one hop (0: none) still to try. */
export function wrapPacket(
  inner: Uint8Array,
  source: number,
  dip: number,
  sourcePort: number,
  port: number,
  hop: number,
): Uint8Array {
  const room = 40;
  const bytes = new Uint8Array(room + inner.length);
  bytes.set(inner, room);
  const version = inner[0] >> 4;
  const data = new DataView(bytes.buffer);
  const written = encapsulate(data, room, inner.length, version, source, dip, sourcePort, port, hop, 0);
  return bytes.subarray(room - written);
}

/** An ICMP error to the sender of `quoted`, as a router at `router` would report it: type 3 code 4, or type 2. */
export function icmpError(quoted: Uint8Array, router: number): Uint8Array {
  const version = quoted[0] >> 4;
  const header = version === 4 ? 20 : 40;
  const quote = quoted.subarray(0, 576 - header - 8);
  const bytes = new Uint8Array(header + 8 + quote.length);
  const data = new DataView(bytes.buffer);
  const original = new DataView(quoted.buffer, quoted.byteOffset, quoted.byteLength);
  if (version === 4) {
    writeIpv4(data, 1, router, original.getUint32(12), bytes.length);
    data.setUint16(20, 0x0304);
  } else {
    data.setUint32(0, 0x60000000);
    data.setUint16(4, bytes.length - 40);
    data.setUint16(6, (58 << 8) | 64);
    bytes.set(quoted.subarray(8, 24), 24);
    data.setUint16(40, 0x0200);
  }
  bytes.set(quote, header + 8);
  return bytes;
}

/** The same flow seen from the VIP: addresses and ports exchanged. What an ICMP error quotes. */
export function reversed(packet: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(packet);
  const [address, size, ports] = packet[0] >> 4 === 4 ? [12, 4, 20] : [8, 16, 40];
  copy.set(packet.subarray(address + size, address + 2 * size), address);
  copy.set(packet.subarray(address, address + size), address + size);
  copy.set(packet.subarray(ports + 2, ports + 4), ports);
  copy.set(packet.subarray(ports, ports + 2), ports + 2);
  return copy;
}

/** An IPv6 packet with `count` extension headers between its header and its transport header. */
export function withExtensions(packet: Uint8Array, random: Random, count: number): Uint8Array {
  const kinds = [0, 43, 44, 51, 60, 135, 139, 140];
  const headers: Uint8Array[] = [];
  let next = packet[6];
  for (let i = 0; i < count; i++) {
    const kind = random.pick(kinds);
    // A fragment header has 8 bytes, and here is mostly atomic; AH counts in words, the others in eights.
    const length = kind === 44 ? 8 : 8 * (1 + random.below(3));
    const header = new Uint8Array(length);
    header[0] = next;
    if (kind === 44) header[3] = random.below(8) === 0 ? random.below(256) : 0;
    else header[1] = kind === 51 ? length / 4 - 2 : length / 8 - 1;
    headers.unshift(header);
    next = kind;
  }
  const bytes = Buffer.concat([packet.subarray(0, 40), ...headers, packet.subarray(40)]);
  bytes[6] = next;
  bytes.writeUInt16BE(bytes.length - 40, 4);
  return bytes;
}

/** The packet with a few bytes changed, most of them in its headers, or cut short, or followed by padding. */
export function damaged(packet: Uint8Array, random: Random): Uint8Array {
  const kind = random.below(8);
  if (kind === 0) return packet.slice(0, random.below(packet.length + 1));
  if (kind === 1) return Buffer.concat([packet, new Uint8Array(1 + random.below(16))]);
  const copy = Uint8Array.from(packet);
  for (let changes = random.below(3); changes >= 0; changes--) {
    const at = random.below(Math.min(copy.length, 100));
    copy[at] = random.below(2) === 0 ? random.below(256) : copy[at] ^ (1 << random.below(8));
  }
  return copy;
}
