import { PacketBatch } from '../../src/path/batch.js';
import { Action } from '../../src/path/verdict.js';
import { checksum, writeTransportChecksum } from '../../src/wire/checksum.js';
import { IpPacket } from '../../src/wire/ip.js';

/** Offload the plain way: whole packets in and out, everything computed anew. The twins of `src/path`'s. */

/** Finishes length, identification and checksums of an IP packet whose other fields are right. */
export function finish(packet: Uint8Array, identification: number): Uint8Array {
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const isIpv4 = packet[0] >>> 4 === 4;
  const header = isIpv4 ? (packet[0] & 15) * 4 : 40;
  if (isIpv4) {
    data.setUint16(2, packet.length);
    data.setUint16(4, identification & 0xffff);
    data.setUint16(10, 0);
    data.setUint16(10, checksum(data, 0, header));
  } else {
    data.setUint16(4, packet.length - 40);
  }
  if (packet[isIpv4 ? 9 : 6] === 17) data.setUint16(header + 4, packet.length - header);
  const parsed = new IpPacket();
  parsed.parse(data, 0, packet.length);
  writeTransportChecksum(parsed);
  return packet;
}

/**
 * The packets that a super-packet stands for.
 * @param packet behind its virtio header, with IP header, TCP or UDP header, and the payload of all
 */
export function slowSegments(vnetAndPacket: Uint8Array): Uint8Array[] {
  const vnet = Buffer.from(vnetAndPacket.subarray(0, 10));
  const packet = vnetAndPacket.subarray(10);
  const gsoSize = vnet.readUInt16LE(4);
  const transport = vnet.readUInt16LE(6);
  const isUdp = vnet[1] === 5;
  const headers = transport + (isUdp ? 8 : (packet[transport + 12] >>> 4) * 4);
  const payload = packet.subarray(headers);
  const segments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += gsoSize) {
    const segment = Uint8Array.from([...packet.subarray(0, headers), ...payload.subarray(at, at + gsoSize)]);
    const data = new DataView(segment.buffer);
    const identification = data.getUint16(4) + segments.length;
    if (!isUdp) {
      data.setUint32(transport + 4, (data.getUint32(transport + 4) + at) >>> 0);
      if (at > 0) segment[transport + 13] &= ~0x80;
      if (at + gsoSize < payload.length) segment[transport + 13] &= ~0x09;
    }
    segments.push(finish(segment, identification));
  }
  return segments;
}

/** The datagrams that a train stands for: its outer header in front of each piece. */
export function slowTrain(train: Uint8Array, segment: number): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  for (let at = 28; at < train.length; at += segment) {
    const datagram = Uint8Array.from([...train.subarray(0, 28), ...train.subarray(at, at + segment)]);
    const data = new DataView(datagram.buffer);
    data.setUint16(2, datagram.length);
    data.setUint16(10, 0);
    data.setUint16(10, checksum(data, 0, 20));
    data.setUint16(24, datagram.length - 20);
    datagrams.push(datagram);
  }
  return datagrams;
}

/** A batch of these packets with this action; beside it room for one super-packet. */
export function offloadBatch(
  packets: readonly Uint8Array[],
  options: { capacity?: number; maxPacket?: number; action?: Action } = {},
): PacketBatch {
  const batch = new PacketBatch({
    capacity: options.capacity ?? Math.max(1, packets.length),
    maxPacket: options.maxPacket ?? 2048,
    extra: 70_000,
  });
  for (const packet of packets) {
    if (!batch.push(packet)) throw new Error('packet does not fit');
    batch.action[batch.count - 1] = options.action ?? Action.Deliver;
  }
  return batch;
}
