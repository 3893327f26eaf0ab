/**
 * Block types and layouts of pcapng (draft-ietf-opsawg-pcapng).
 *
 * ```
 * every block         section header       interface            enhanced packet
 *  0  type             8  byte-order magic   8  link type          8  interface
 *  4  total length    12  version 1, 0      10  reserved          12  timestamp, upper word
 *  8  body            16  section length    12  snap length       16  timestamp, lower word
 *     total length    24  options           16  options           20  captured length
 *                                                                 24  original length
 *                                                                 28  packet, padding, options
 * ```
 *
 * The obsolete packet block is an enhanced one with 16 bits of interface and 16 of a drop count. The simple packet
 * block has only the original length (8) before the packet (12).
 */
export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_OBSOLETE_PACKET = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Type, and total length before and behind the body. */
export const BLOCK_FRAME = 12;
/** The same with the fixed fields of each type. */
export const LEAST_SECTION = 28;
export const LEAST_INTERFACE = 20;
export const LEAST_ENHANCED = 32;
export const LEAST_SIMPLE = 16;

/** Up to the packet's bytes. */
export const ENHANCED_HEADER = 28;
export const SIMPLE_HEADER = 12;
