import { fold, sumBytes } from '../wire/checksum.js';
import { TCP_CWR, TCP_FIN, TCP_HEADER, TCP_PSH } from '../wire/tcp.js';
import { UDP_HEADER } from '../wire/udp.js';
import {
  VNET_AT_CHECKSUM_OFFSET,
  VNET_AT_CHECKSUM_START,
  VNET_AT_GSO_SIZE,
  VNET_AT_GSO_TYPE,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_HEADER,
  VNET_NEEDS_CHECKSUM,
} from '../wire/virtio-net.js';
import type { PacketBatch } from './batch.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VNET = VNET_HEADER;
const NEEDS_CHECKSUM = VNET_NEEDS_CHECKSUM;
const NONE = VNET_GSO_NONE;
const TCPV4 = VNET_GSO_TCPV4;
const TCPV6 = VNET_GSO_TCPV6;
const UDP_L4 = VNET_GSO_UDP_L4;
const ECN = VNET_GSO_ECN;
const CWR = TCP_CWR;
const LAST_ONLY = TCP_FIN | TCP_PSH;
const UDP = UDP_HEADER;
const TCP = TCP_HEADER;
const IPV4 = 20;
const IPV6 = 40;

/**
 * Cuts what a TUN with offloads hands over into the packets it stands for, as the kernel would have (tcp_gso_segment,
 * udp_gso_segment, inet_gso_segment): each with its own length, IPv4 identification, TCP sequence number and
 * checksums; CWR only on the first, FIN and PSH only on the last.
 *
 * A packet comes as the virtio header and the packet behind it, in the batch's arena outside its slots
 * (`PacketBatch.extraOffset`). When the batch is full, the rest stays there for the next: {@link pending}.
 */
export class Segmenter {
  /** Payload not yet in a batch: from `at` to `end`. */
  private at = 0;
  private end = 0;
  /** Start of the IP header, of the transport header, and of the payload. */
  private packet = 0;
  private transport = 0;
  private payload = 0;
  private version = 4;
  private kind = NONE;
  private gsoSize = 0;
  /** IPv4 header without length, identification and checksum, summed up. */
  private networkSum = 0;
  /** Pseudo-header without the length, and what is the same in all transport headers, summed up. */
  private transportSum = 0;
  private identification = 0;
  private sequence = 0;
  /** Data offset and flags of the TCP header. */
  private offsetAndFlags = 0;

  /** Whether packets are left of what was begun last. */
  get pending(): boolean {
    return this.at < this.end;
  }

  /**
   * @param from where in the arena the virtio header lies; @param length of it and the packet
   * @returns false when the header contradicts the packet: nothing can be made of it then
   */
  begin(batch: PacketBatch, from: number, length: number): boolean {
    const { data } = batch;
    this.at = 0;
    this.end = 0;
    if (length <= VNET) return false;
    const packet = from + VNET;
    const end = from + length;
    const flags = data.getUint8(from);
    const kind = data.getUint8(from + VNET_AT_GSO_TYPE) & ~ECN;
    const start = data.getUint16(from + VNET_AT_CHECKSUM_START, true);
    this.kind = kind;
    this.packet = packet;
    if ((flags & NEEDS_CHECKSUM) !== 0) {
      const field = packet + start + data.getUint16(from + VNET_AT_CHECKSUM_OFFSET, true);
      if (field + 2 > end) return false;
      if (kind === NONE) completeChecksum(batch, packet + start, field, end);
    }
    if (kind !== NONE) {
      if ((flags & NEEDS_CHECKSUM) === 0) return false;
      this.gsoSize = data.getUint16(from + VNET_AT_GSO_SIZE, true);
      if (!this.readHeaders(data, packet, packet + start, end)) return false;
    }
    this.at = kind === NONE ? packet : this.payload;
    this.end = end;
    return true;
  }

  private readHeaders(data: DataView, packet: number, transport: number, end: number): boolean {
    const { kind } = this;
    if (this.gsoSize === 0 || transport + UDP > end) return false;
    const version = data.getUint8(packet) >>> 4;
    if (kind === TCPV4 ? version !== 4 : kind === TCPV6 ? version !== 6 : kind !== UDP_L4) return false;
    if (version === 4) {
      const ihl = (data.getUint8(packet) & 0xf) << 2;
      if (ihl < IPV4 || transport !== packet + ihl) return false;
      this.networkSum =
        data.getUint16(packet) + sumBytes(data, packet + 6, 4) + sumBytes(data, packet + 12, ihl - 12);
      this.identification = data.getUint16(packet + 4);
    } else if (version !== 6 || transport < packet + IPV6) return false;
    this.version = version;
    this.transport = transport;

    // The length counts in the pseudo-header: taken out of its sum, as it is another for each packet.
    const withoutLength = ~fold(end - transport) & 0xffff;
    if (kind === UDP_L4) {
      this.payload = transport + UDP;
      this.transportSum = sumBytes(data, transport, 4) + data.getUint16(transport + 6) + withoutLength;
      return this.payload < end;
    }
    if (transport + TCP > end) return false;
    const headerLength = (data.getUint8(transport + 12) >>> 4) << 2;
    this.payload = transport + headerLength;
    if (headerLength < TCP || this.payload >= end) return false;
    this.sequence = data.getInt32(transport + 4);
    this.offsetAndFlags = data.getUint16(transport + 12);
    this.transportSum =
      sumBytes(data, transport, 4) +
      sumBytes(data, transport + 8, 4) +
      // Window, the pseudo-header's sum in the place of the checksum, urgent pointer, options.
      sumBytes(data, transport + 14, headerLength - 14) +
      withoutLength;
    return true;
  }

  /** Appends the next packets to the batch, until there are no more or it is full. */
  fill(batch: PacketBatch): void {
    if (this.kind === NONE) {
      if (this.at < this.end && batch.count < batch.capacity) this.single(batch);
      return;
    }
    while (this.at < this.end && batch.count < batch.capacity) this.segment(batch);
  }

  private single(batch: PacketBatch): void {
    const length = this.end - this.packet;
    const offset = batch.payloadOffset(batch.count);
    // What is longer than a slot is cut off, and its length field gives it away: as a plain TUN does it.
    const kept = Math.min(length, batch.maxPacket);
    batch.arena.copy(offset, this.packet, kept);
    batch.append(offset, kept);
    this.at = this.end;
  }

  private segment(batch: PacketBatch): void {
    const { data, arena } = batch;
    const { packet, payload, transport, at, gsoSize } = this;
    const left = this.end - at;
    const size = Math.min(left, gsoSize);
    const headers = payload - packet;
    const offset = batch.payloadOffset(batch.count);
    const room = batch.maxPacket - headers;
    const kept = Math.min(size, room);
    this.at = at + size;
    if (kept < 0) return;
    arena.copy(offset, packet, headers);
    const payloadSum = arena.copy(offset + headers, at, kept);

    const length = headers + size;
    if (this.version === 4) {
      const { identification } = this;
      data.setUint16(offset + 2, length);
      data.setUint16(offset + 4, identification);
      data.setUint16(offset + 10, ~fold(this.networkSum + length + identification));
      this.identification = (identification + 1) & 0xffff;
    } else {
      data.setUint16(offset + 4, length - IPV6);
    }

    const header = offset + transport - packet;
    const datagram = payload - transport + size;
    if (this.kind === UDP_L4) {
      data.setUint16(header + 4, datagram);
      const checksum = ~fold(this.transportSum + 2 * datagram + payloadSum) & 0xffff;
      data.setUint16(header + 6, checksum === 0 ? 0xffff : checksum);
    } else {
      const { sequence } = this;
      let flags = this.offsetAndFlags;
      if (at !== payload) flags &= ~CWR;
      if (size !== left) flags &= ~LAST_ONLY;
      data.setInt32(header + 4, sequence);
      data.setUint16(header + 12, flags);
      const sum = this.transportSum + (sequence >>> 16) + (sequence & 0xffff) + flags + datagram + payloadSum;
      data.setUint16(header + 16, ~fold(sum));
      this.sequence = (sequence + size) | 0;
    }
    batch.append(offset, headers + kept);
  }
}

/** The field holds the pseudo-header's sum: it is summed up with the rest and replaced by the whole checksum. */
function completeChecksum({ data, arena }: PacketBatch, start: number, field: number, end: number): void {
  const checksum = ~arena.sum(start, end - start) & 0xffff;
  // Only UDP cares, for which 0 means that there is none; to the others 0xffff is the same number.
  data.setUint16(field, checksum === 0 ? 0xffff : checksum);
}
