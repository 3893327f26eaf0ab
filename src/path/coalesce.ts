import { fold, sumBytes } from '../wire/checksum.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_HEADER, TCP_PSH } from '../wire/tcp.js';
import { UDP_HEADER } from '../wire/udp.js';
import {
  encodeVnetInto,
  LARGEST_SUPER_PACKET,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_HEADER,
  VNET_NEEDS_CHECKSUM,
} from '../wire/virtio-net.js';
import type { PacketBatch } from './batch.js';
import type { Action } from './verdict.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VNET = VNET_HEADER;
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;
const TCP_BASE = TCP_HEADER;
const UDP_BASE = UDP_HEADER;
const LARGEST = LARGEST_SUPER_PACKET;
const LAST_ONLY = TCP_FIN | TCP_PSH;
const CWR = TCP_CWR;
const ACK = TCP_ACK;
/** Flags of a packet that may be part of a super-packet, ACK and these at most. */
const MERGEABLE = TCP_ACK | TCP_PSH | TCP_FIN | TCP_ECE | TCP_CWR;
const IPV4 = 20;
const IPV6 = 40;
/** Packets of one super-packet: as many as the kernel's GRO joins of UDP, and of TCP more than fit. */
export const MOST_MERGED = 128;
const MOST = MOST_MERGED;

/**
 * Finds packets of one flow that follow each other without a gap, and makes them one super-packet for a TUN with
 * offloads: the reverse of `Segmenter`, which, like the kernel, makes the very same packets of it again, byte for byte. What it
 * would not is left alone: other options or acknowledgments, a wrong checksum, an IPv4 identification that does not
 * count up, fragments, IP options, extension headers.
 *
 * Only neighbours are joined, so packets stay in the order they had.
 */
export class Coalescer {
  /** The packets of the run found last: slots. */
  readonly slots = new Int32Array(MOST);
  count = 0;
  /** Bytes of headers that all have; the payload of the others follows the first packet's. */
  headers = 0;
  private gsoSize = 0;
  /** Of the whole super-packet. */
  private length = 0;
  private version = 4;
  private protocol = TCP;
  private flags = 0;
  /** What the next packet has to carry. */
  private sequence = 0;
  private identification = 0;
  private open = false;

  /**
   * The next run of packets whose action is `action`: one packet, or several that make a super-packet.
   * @param from slot to begin at
   * @returns slot to go on from; {@link count} is 0 when there was none
   */
  find(batch: PacketBatch, action: Action, from: number): number {
    const end = batch.count;
    this.count = 0;
    let i = from;
    while (i < end && batch.action[i] !== action) i++;
    if (i === end) return end;
    this.begin(batch, i);
    for (i++; i < end && this.open; i++) {
      if (batch.action[i] !== action) continue;
      if (!this.join(batch, i)) return i;
    }
    return i;
  }

  /** @param i slot of the first packet of a run */
  private begin(batch: PacketBatch, i: number): void {
    const { data } = batch;
    const offset = batch.offset[i];
    const length = batch.length[i];
    this.slots[0] = i;
    this.count = 1;
    this.length = length;
    this.open = false;
    const headers = mergeableHeaders(batch, offset, length);
    if (headers === 0) return;
    this.headers = headers;
    this.gsoSize = length - headers;
    const version = data.getUint8(offset) >>> 4;
    const protocol = data.getUint8(offset + (version === 4 ? 9 : 6));
    const transport = offset + (version === 4 ? IPV4 : IPV6);
    this.version = version;
    this.protocol = protocol;
    if (version === 4) this.identification = (data.getUint16(offset + 4) + 1) & 0xffff;
    if (protocol === TCP) {
      this.flags = data.getUint8(transport + 13);
      this.sequence = (data.getInt32(transport + 4) + this.gsoSize) | 0;
      this.open = (this.flags & LAST_ONLY) === 0;
    } else {
      this.open = true;
    }
  }

  /** Adds packet `i` to the run; false when it does not belong to it. */
  private join(batch: PacketBatch, i: number): boolean {
    const { data } = batch;
    const { headers, version, protocol } = this;
    const first = batch.offset[this.slots[0]];
    const offset = batch.offset[i];
    const length = batch.length[i];
    const size = length - headers;
    if (size > this.gsoSize || size <= 0 || this.length + size > LARGEST || this.count === MOST) return false;
    const network = version === 4 ? IPV4 : IPV6;
    // What differs most often comes first: ports and addresses.
    if (data.getInt32(offset + network) !== data.getInt32(first + network)) return false;
    if (version === 4) {
      if (data.getUint16(offset) !== data.getUint16(first)) return false;
      if (data.getUint16(offset + 4) !== this.identification) return false;
      if (data.getInt32(offset + 6) !== data.getInt32(first + 6)) return false;
      if (!sameWords(data, offset + 12, first + 12, 8)) return false;
    } else {
      if (data.getInt32(offset) !== data.getInt32(first)) return false;
      if (data.getUint16(offset + 6) !== data.getUint16(first + 6)) return false;
      if (!sameWords(data, offset + 8, first + 8, 32)) return false;
    }
    const transport = offset + network;
    if (protocol === TCP) {
      const from = first + network;
      if (data.getInt32(transport + 4) !== this.sequence) return false;
      if (data.getInt32(transport + 8) !== data.getInt32(from + 8)) return false;
      // Data offset; flags; window; urgent pointer; options.
      if (data.getUint8(transport + 12) !== data.getUint8(from + 12)) return false;
      const flags = data.getUint8(transport + 13);
      if ((flags & ~LAST_ONLY) !== (this.flags & ~CWR & ~LAST_ONLY)) return false;
      if (data.getUint16(transport + 14) !== data.getUint16(from + 14)) return false;
      if (data.getUint16(transport + 18) !== data.getUint16(from + 18)) return false;
      if (!sameWords(data, transport + TCP_BASE, from + TCP_BASE, headers - network - TCP_BASE)) return false;
      if (mergeableHeaders(batch, offset, length) !== headers) return false;
      this.flags |= flags;
      this.sequence = (this.sequence + size) | 0;
      if ((flags & LAST_ONLY) !== 0) this.open = false;
    } else if (mergeableHeaders(batch, offset, length) !== headers) return false;
    this.slots[this.count++] = i;
    this.length += size;
    this.identification = (this.identification + 1) & 0xffff;
    if (size < this.gsoSize) this.open = false;
    return true;
  }

  /**
   * Writes the virtio header in front of the run's first packet, and makes that packet's headers the super-packet's.
   * Needs {@link VNET_HEADER} bytes of room in front of it.
   */
  write(batch: PacketBatch): void {
    const { data } = batch;
    const offset = batch.offset[this.slots[0]];
    if (this.count === 1) {
      encodeVnetInto(data, offset - VNET, 0, VNET_GSO_NONE, 0, 0, 0, 0);
      return;
    }
    const { length, version, protocol, flags } = this;
    const network = version === 4 ? IPV4 : IPV6;
    const transport = offset + network;
    const covered = length - network;
    if (version === 4) {
      data.setUint16(offset + 2, length);
      data.setUint16(offset + 10, 0);
      data.setUint16(offset + 10, ~fold(sumBytes(data, offset, IPV4)));
    } else {
      data.setUint16(offset + 4, covered);
    }
    // In the place of the checksum the pseudo-header's sum: addresses, protocol, length.
    const addresses = version === 4 ? sumBytes(data, offset + 12, 8) : sumBytes(data, offset + 8, 32);
    const sum = fold(addresses + protocol + covered);
    if (protocol === TCP) {
      data.setUint8(transport + 13, flags);
      data.setUint16(transport + 16, sum);
      const type =
        (version === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6) | ((flags & CWR) === 0 ? 0 : VNET_GSO_ECN);
      encodeVnetInto(data, offset - VNET, VNET_NEEDS_CHECKSUM, type, this.headers, this.gsoSize, network, 16);
    } else {
      data.setUint16(transport + 4, covered);
      data.setUint16(transport + 6, sum);
      const type = VNET_GSO_UDP_L4;
      encodeVnetInto(data, offset - VNET, VNET_NEEDS_CHECKSUM, type, this.headers, this.gsoSize, network, 6);
    }
  }
}

/**
 * Whether a packet could be part of a super-packet by itself: TCP or UDP with payload, no IP options, extension
 * headers or fragments, lengths that agree, only ACK and what the segments of a super-packet may carry, and right
 * checksums.
 * @returns bytes of its IP and transport headers, or 0
 */
function mergeableHeaders({ data, arena }: PacketBatch, offset: number, length: number): number {
  if (length < IPV4 + UDP_BASE) return 0;
  const first = data.getUint8(offset);
  let network = IPV4;
  let protocol = 0;
  let sum = 0;
  if (first === 0x45) {
    // More fragments, an offset, or the bit that means nothing.
    if (data.getUint16(offset + 2) !== length || (data.getUint16(offset + 6) & 0xbfff) !== 0) return 0;
    if (fold(sumBytes(data, offset, IPV4)) !== 0xffff) return 0;
    protocol = data.getUint8(offset + 9);
    sum = sumBytes(data, offset + 12, 8);
  } else {
    if (first >>> 4 !== 6 || length < IPV6 + UDP_BASE || data.getUint16(offset + 4) !== length - IPV6)
      return 0;
    network = IPV6;
    protocol = data.getUint8(offset + 6);
    sum = sumBytes(data, offset + 8, 32);
  }
  const transport = offset + network;
  const covered = length - network;
  let headers = 0;
  if (protocol === TCP) {
    if (covered <= TCP_BASE) return 0;
    headers = (data.getUint8(transport + 12) >>> 4) << 2;
    const flags = data.getUint8(transport + 13);
    if (headers < TCP_BASE || headers >= covered || (flags & ~MERGEABLE) !== 0 || (flags & ACK) === 0)
      return 0;
    // Four reserved bits share a byte with the data offset: the kernel's super-packets have them at 0.
    if ((data.getUint8(transport + 12) & 0xf) !== 0) return 0;
  } else if (protocol === UDP) {
    headers = UDP_BASE;
    if (headers >= covered || data.getUint16(transport + 4) !== covered) return 0;
    if (data.getUint16(transport + 6) === 0) return 0;
  } else {
    return 0;
  }
  if (fold(arena.sum(transport, covered) + sum + protocol + covered) !== 0xffff) return 0;
  return network + headers;
}

function sameWords(data: DataView, one: number, other: number, length: number): boolean {
  for (let at = 0; at < length; at += 4) {
    if (data.getInt32(one + at) !== data.getInt32(other + at)) return false;
  }
  return true;
}
