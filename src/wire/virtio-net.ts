/**
 * The header in front of a packet that a TUN device with `IFF_VNET_HDR`, or a packet socket with `PACKET_VNET_HDR`,
 * hands over: how much of the packet is left to be done. Numbers are in the machine's byte order, here little-endian.
 *
 * ```
 * | flags 8 | gso_type 8 | hdr_len 16 | gso_size 16 | csum_start 16 | csum_offset 16 |
 * ```
 *
 * With NEEDS_CSUM the checksum field, `csum_offset` behind `csum_start`, holds the sum of the pseudo-header, and the
 * checksum over everything from `csum_start` to the end is still to be made. With a `gso_type` the packet is a
 * super-packet: to be cut into packets of at most `gso_size` bytes of payload each, all with its headers.
 *
 * Sources: include/uapi/linux/virtio_net.h; virtio 1.2 section 5.1.6; Documentation/networking/tuntap.rst.
 */

/** In bytes: `struct virtio_net_hdr`. */
export const VNET_HEADER = 10;

export const VNET_AT_FLAGS = 0;
export const VNET_AT_GSO_TYPE = 1;
export const VNET_AT_HEADER_LENGTH = 2;
export const VNET_AT_GSO_SIZE = 4;
export const VNET_AT_CHECKSUM_START = 6;
export const VNET_AT_CHECKSUM_OFFSET = 8;

export const VNET_NEEDS_CHECKSUM = 1;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/** Beside a TCP type: the first packet carries CWR, and only that. */
export const VNET_GSO_ECN = 0x80;

/** Largest packet behind such a header: what an IPv4 length can say. */
export const LARGEST_SUPER_PACKET = 0xffff;

/** @param at where the header begins; @param headerLength of the packet's headers; @param gsoSize payload per packet */
export function encodeVnetInto(
  data: DataView,
  at: number,
  flags: number,
  gsoType: number,
  headerLength: number,
  gsoSize: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  data.setUint16(at, flags | (gsoType << 8), true);
  data.setUint16(at + VNET_AT_HEADER_LENGTH, headerLength, true);
  data.setUint16(at + VNET_AT_GSO_SIZE, gsoSize, true);
  data.setUint16(at + VNET_AT_CHECKSUM_START, checksumStart, true);
  data.setUint16(at + VNET_AT_CHECKSUM_OFFSET, checksumOffset, true);
}
