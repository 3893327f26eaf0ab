import { parseIpv4, parseIpv6 } from '../../src/table/address.js';
import { checksum, writeTransportChecksum } from '../../src/wire/checksum.js';
import { encodeGueHopsInto } from '../../src/wire/gue.js';
import { encodeIcmpErrorInto } from '../../src/wire/icmp.js';
import { encodeIcmpv6ErrorInto } from '../../src/wire/icmpv6.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IpPacket } from '../../src/wire/ip.js';
import { encodeIpv4Into } from '../../src/wire/ipv4.js';
import { encodeIpv6Into } from '../../src/wire/ipv6.js';
import { encodeTcpInto, TCP_SYN } from '../../src/wire/tcp.js';
import { encodeUdpInto } from '../../src/wire/udp.js';

/** Whole packets with right checksums, for tests. */

export interface PacketSpec {
  readonly version?: 4 | 6;
  readonly protocol?: 'tcp' | 'udp';
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly sequence?: number;
  /** Its length; instead of `data`. */
  readonly payload?: number;
  readonly data?: Uint8Array;
}

export const CLIENT4 = '198.51.100.7';
export const VIP4 = '192.0.2.10';
export const CLIENT6 = '2001:db8:c::7';
export const VIP6 = '2001:db8:100::10';

export function addressBytes(text: string): Uint8Array {
  const words = text.includes(':') ? parseIpv6(text) : Uint32Array.of(parseIpv4(text));
  const bytes = new Uint8Array(words.length * 4);
  const data = new DataView(bytes.buffer);
  words.forEach((word, index) => {
    data.setUint32(4 * index, word);
  });
  return bytes;
}

export function makePacket(spec: PacketSpec = {}): Uint8Array {
  const version = spec.version ?? 4;
  const isTcp = (spec.protocol ?? 'tcp') === 'tcp';
  const ipHeader = version === 4 ? 20 : 40;
  const length = ipHeader + (isTcp ? 20 : 8) + (spec.data?.length ?? spec.payload ?? 4);
  const bytes = new Uint8Array(length).fill(0x5a);
  const data = new DataView(bytes.buffer);
  const protocol = isTcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
  const source = spec.source ?? (version === 4 ? CLIENT4 : CLIENT6);
  const destination = spec.destination ?? (version === 4 ? VIP4 : VIP6);
  if (version === 4) encodeIpv4Into(data, 0, length, protocol, parseIpv4(source), parseIpv4(destination));
  else encodeIpv6Into(data, 0, length - 40, protocol, addressBytes(source), addressBytes(destination));
  const sourcePort = spec.sourcePort ?? 40_000;
  const destinationPort = spec.destinationPort ?? 80;
  if (isTcp) {
    const flags = spec.flags ?? TCP_SYN;
    encodeTcpInto(data, ipHeader, sourcePort, destinationPort, spec.sequence ?? 1000, 0, flags);
  } else {
    encodeUdpInto(data, ipHeader, sourcePort, destinationPort, length - ipHeader);
  }
  if (spec.data !== undefined) bytes.set(spec.data, length - spec.data.length);
  const packet = new IpPacket();
  packet.parse(data, 0, length);
  writeTransportChecksum(packet);
  return bytes;
}

/** A UDP datagram. */
export function makeUdp(
  data: Uint8Array,
  spec: Omit<PacketSpec, 'protocol' | 'payload' | 'data'> = {},
): Uint8Array {
  return makePacket({ ...spec, protocol: 'udp', data });
}

/** The same addresses around an ESP payload. */
export function makeEsp(
  data: Uint8Array,
  spec: Pick<PacketSpec, 'version' | 'source' | 'destination'> = {},
): Uint8Array {
  const header = makePacket({ ...spec, protocol: 'udp' }).subarray(0, spec.version === 6 ? 40 : 20);
  const bytes = Uint8Array.from([...header, ...data]);
  const view = new DataView(bytes.buffer);
  if (spec.version === 6) {
    view.setUint16(4, data.length);
    bytes[6] = IP_PROTOCOL_ESP;
    return bytes;
  }
  view.setUint16(2, bytes.length);
  bytes[9] = IP_PROTOCOL_ESP;
  view.setUint16(10, 0);
  view.setUint16(10, checksum(view, 0, 20));
  return bytes;
}

/**
 * Cuts a packet into fragments.
 * @param size of the data in each but the last: a multiple of 8
 */
export function fragmentsOf(packet: Uint8Array, size: number, identification = 0x1234): Uint8Array[] {
  const isIpv4 = packet[0] >>> 4 === 4;
  const header = isIpv4 ? 20 : 40;
  const body = packet.subarray(header);
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    const more = at + size < body.length ? 1 : 0;
    if (isIpv4) {
      const bytes = Uint8Array.from([...packet.subarray(0, header), ...piece]);
      const view = new DataView(bytes.buffer);
      view.setUint16(2, bytes.length);
      view.setUint16(4, identification);
      view.setUint16(6, (more << 13) | (at >>> 3));
      view.setUint16(10, 0);
      view.setUint16(10, checksum(view, 0, header));
      fragments.push(bytes);
    } else {
      const extension = new Uint8Array(8);
      const view = new DataView(extension.buffer);
      view.setUint8(0, packet[6]);
      view.setUint16(2, at | more);
      view.setUint32(4, identification);
      const bytes = Uint8Array.from([...packet.subarray(0, header), ...extension, ...piece]);
      new DataView(bytes.buffer).setUint16(4, bytes.length - header);
      bytes[6] = 44;
      fragments.push(bytes);
    }
  }
  return fragments;
}

/** A router's "fragmentation needed" or "packet too big" about `quoted`, sent to the quoted source. */
export function makeTooBig(quoted: Uint8Array, mtu: number, quote = 48): Uint8Array {
  const version = quoted[0] >>> 4;
  const part = quoted.subarray(0, Math.min(quoted.length, (version === 4 ? 20 : 40) + quote));
  const ipHeader = version === 4 ? 20 : 40;
  const length = ipHeader + 8 + part.length;
  const bytes = new Uint8Array(length);
  const data = new DataView(bytes.buffer);
  const quotedData = new DataView(quoted.buffer, quoted.byteOffset);
  if (version === 4) {
    encodeIpv4Into(data, 0, length, 1, parseIpv4('203.0.113.1'), quotedData.getUint32(12));
    encodeIcmpErrorInto(data, 20, 3, 4, mtu, part);
  } else {
    encodeIpv6Into(data, 0, length - 40, 58, addressBytes('2001:db8:f::1'), quoted.subarray(8, 24));
    encodeIcmpv6ErrorInto(data, 40, 8, 2, 0, mtu, part);
  }
  return bytes;
}

export interface WrapSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly port?: number;
  readonly hops?: readonly string[];
  readonly nextHop?: number;
}

/** `inner` as another node's forwarder would have wrapped it. */
export function wrapPacket(inner: Uint8Array, spec: WrapSpec = {}): Uint8Array {
  const hops = (spec.hops ?? []).map(parseIpv4);
  const length = 36 + 4 * hops.length + inner.length;
  const bytes = new Uint8Array(length);
  const data = new DataView(bytes.buffer);
  const source = parseIpv4(spec.source ?? '10.0.2.1');
  encodeIpv4Into(data, 0, length, 17, source, parseIpv4(spec.destination ?? '10.0.1.1'));
  encodeUdpInto(data, 20, 0xbeef, spec.port ?? 6080, length - 20);
  encodeGueHopsInto(data, 28, inner[0] >>> 4 === 4 ? 4 : 41, hops, spec.nextHop ?? 0);
  bytes.set(inner, 36 + 4 * hops.length);
  return bytes;
}
