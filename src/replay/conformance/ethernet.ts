/** Ethernet frames in vector files. */

export const ETHERNET_HEADER = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Bytes of an address; the destination's come first, then the source's. */
export const MAC = 6;
export const AT_ETHERTYPE = 2 * MAC;

/** @returns the IP packet in a frame, with what the frame says it is; null where it carries none */
export function splitFrame(
  frame: Uint8Array,
): { readonly packet: Uint8Array; readonly version: 4 | 6 } | null {
  if (frame.length < ETHERNET_HEADER) return null;
  const ethertype = (frame[AT_ETHERTYPE] << 8) | frame[AT_ETHERTYPE + 1];
  if (ethertype !== ETHERTYPE_IPV4 && ethertype !== ETHERTYPE_IPV6) return null;
  return { packet: frame.subarray(ETHERNET_HEADER), version: ethertype === ETHERTYPE_IPV4 ? 4 : 6 };
}

/** A frame from nowhere: what its sender is differs from machine to machine. */
export function etherFrame(destination: Uint8Array, ethertype: number, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER + packet.length);
  frame.set(destination);
  frame.set([ethertype >>> 8, ethertype & 0xff], AT_ETHERTYPE);
  frame.set(packet, ETHERNET_HEADER);
  return frame;
}
