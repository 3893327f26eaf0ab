import { PacketBatch } from '../../src/path/batch.js';
import type { Action } from '../../src/path/verdict.js';

/** Packets for tests of the ports: whole and correct, because a kernel looks at them. */

export function ipv4(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

/** RFC 1071, the plain way. */
export function checksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface UdpPacket {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** IPv4 + UDP (checksum 0) as the load balancer's forwarder sends it: TOS 0, id 0, DF, TTL 64. */
export function udpPacket(fields: UdpPacket): Buffer {
  const length = 28 + fields.payload.length;
  const packet = Buffer.alloc(length);
  packet.writeUInt16BE(0x4500, 0);
  packet.writeUInt16BE(length, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet.writeUInt16BE((64 << 8) | 17, 8);
  packet.writeUInt32BE(ipv4(fields.source), 12);
  packet.writeUInt32BE(ipv4(fields.destination), 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  packet.writeUInt16BE(fields.sourcePort, 20);
  packet.writeUInt16BE(fields.destinationPort, 22);
  packet.writeUInt16BE(length - 20, 24);
  packet.set(fields.payload, 28);
  return packet;
}

/** A recognisable payload of `length` bytes. */
export function pattern(length: number, seed = 0): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + 1) & 255));
}

/** A batch of these packets, all with one action and next hop. */
export function batchOf(packets: readonly Uint8Array[], action: Action, nextHop = 0): PacketBatch {
  const batch = new PacketBatch({ capacity: Math.max(1, packets.length) });
  for (const packet of packets) {
    const index = batch.count;
    if (!batch.push(packet)) throw new Error('packet does not fit');
    batch.action[index] = action;
    batch.nextHop[index] = nextHop;
  }
  return batch;
}

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_ACK = 0x10;

export interface TcpPacket {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment?: number;
  readonly flags: number;
}

/** IPv4 + TCP without options and data, checksums right. */
export function tcpPacket(fields: TcpPacket): Buffer {
  const packet = Buffer.alloc(40);
  packet.writeUInt16BE(0x4500, 0);
  packet.writeUInt16BE(40, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet.writeUInt16BE((64 << 8) | 6, 8);
  packet.writeUInt32BE(ipv4(fields.source), 12);
  packet.writeUInt32BE(ipv4(fields.destination), 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  packet.writeUInt16BE(fields.sourcePort, 20);
  packet.writeUInt16BE(fields.destinationPort, 22);
  packet.writeUInt32BE(fields.sequence >>> 0, 24);
  packet.writeUInt32BE((fields.acknowledgment ?? 0) >>> 0, 28);
  packet.writeUInt16BE(0x5000 | fields.flags, 32);
  packet.writeUInt16BE(0xffff, 34);
  // Pseudo header (RFC 9293 section 3.1): addresses, protocol, length.
  packet.writeUInt16BE(checksum(packet.subarray(12), 6 + 20), 36);
  return packet;
}
