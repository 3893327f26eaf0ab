import { PCAP_MICROSECONDS, PCAP_NANOSECONDS } from './pcap-parser.js';
import { BLOCK_SECTION } from './pcapng.js';

/** What a file is by its first bytes. */
export type Recognised =
  | { readonly format: 'pcap'; readonly littleEndian: boolean; readonly nanoseconds: boolean }
  | { readonly format: 'pcapng' }
  /** No capture that can be read here: what it seems to be, and what to do. */
  | { readonly format: 'other'; readonly seems: string };

/** Enough to recognise anything listed here. */
export const RECOGNISE_BYTES = 16;

export function recognise(head: Buffer): Recognised {
  if (head.length >= 4) {
    const magic = head.readUInt32BE(0);
    const swapped = head.readUInt32LE(0);
    if (magic === BLOCK_SECTION) return { format: 'pcapng' };
    for (const [value, littleEndian] of [
      [magic, false],
      [swapped, true],
    ] as const) {
      if (value === PCAP_MICROSECONDS) return { format: 'pcap', littleEndian, nanoseconds: false };
      if (value === PCAP_NANOSECONDS) return { format: 'pcap', littleEndian, nanoseconds: true };
    }
  }
  return { format: 'other', seems: 'no capture' };
}
