import { PCAP_MICROSECONDS, PCAP_NANOSECONDS } from './pcap-parser.js';
import { BLOCK_SECTION } from './pcapng.js';

/** What a file is by its first bytes. */
export type Recognised =
  | { readonly format: 'pcap'; readonly littleEndian: boolean; readonly nanoseconds: boolean }
  | { readonly format: 'pcapng' }
  /** No capture that can be read here: what it is or seems to be, and what helps. */
  | { readonly format: 'other'; readonly seems: string };

/** Enough to recognise any format by, and the file header of pcap; text is told from the rest by as much as there is. */
export const RECOGNISE_BYTES = 24;
const MOST_BYTES = 512;

const CONVERT = 'convert it with editcap -F pcapng IN OUT (of Wireshark)';
const DECOMPRESS = 'decompress it first; only gzip is read as it is';
const WHAT_IS_READ = 'pcap and pcapng are read, also compressed by gzip';

/** First bytes as latin1 text, what has them, and what helps. */
const SIGNATURES: readonly (readonly [signature: string, what: string, help: string])[] = [
  // Captures of other programs.
  ['\xa1\xb2\xcd\x34', 'a pcap file as a patched libpcap of the nineties wrote it', CONVERT],
  ['\x34\xcd\xb2\xa1', 'a pcap file as a patched libpcap of the nineties wrote it', CONVERT],
  ['\x1c\x00\x01\xac', 'a capture of IXIA hardware', CONVERT],
  ['\xac\x01\x00\x1c', 'a capture of IXIA hardware', CONVERT],
  ['\x1c\x00\x01\xab', 'a capture of IXIA software', CONVERT],
  ['\xab\x01\x00\x1c', 'a capture of IXIA software', CONVERT],
  ['snoop\0\0\0', 'a capture of snoop (Solaris)', CONVERT],
  ['btsnoop\0', 'a capture of Bluetooth (btsnoop)', 'it has no IP packets'],
  ['TRSNIFF data', 'a capture of the DOS Sniffer', CONVERT],
  ['GMBU', 'a capture of Microsoft Network Monitor', CONVERT],
  ['RTSS', 'a capture of Microsoft Network Monitor 1', CONVERT],
  ['XCP\0', 'a capture of NetXRay or the Windows Sniffer', CONVERT],
  ['iptrace ', 'a capture of iptrace (AIX)', CONVERT],
  ['\x05VNF', 'a capture of Visual Networks', CONVERT],
  // Compressed, perhaps a capture.
  ['\x28\xb5\x2f\xfd', 'compressed by zstd', DECOMPRESS],
  ['\xfd7zXZ\0', 'compressed by xz', DECOMPRESS],
  ['BZh', 'compressed by bzip2', DECOMPRESS],
  ['\x04\x22\x4d\x18', 'compressed by lz4', DECOMPRESS],
  ['\x1f\x9d', 'compressed by compress', DECOMPRESS],
  ['PK\x03\x04', 'a ZIP archive', 'take the capture out of it first'],
  // What is given by mistake.
  ['\x7fELF', 'a program (ELF)', WHAT_IS_READ],
  ['#!', 'a script', WHAT_IS_READ],
  ['%PDF', 'a PDF document', WHAT_IS_READ],
  ['\x89PNG', 'a picture (PNG)', WHAT_IS_READ],
  ['\x89THFT', 'a forwarding table of twohop', 'twohop table reads those'],
];

/** @param head the first bytes of the file, at least {@link RECOGNISE_BYTES} of them where it has so many */
export function recognise(head: Buffer): Recognised {
  if (head.length >= 4) {
    if (head.readUInt32BE(0) === BLOCK_SECTION) return { format: 'pcapng' };
    for (const littleEndian of [true, false]) {
      const magic = littleEndian ? head.readUInt32LE(0) : head.readUInt32BE(0);
      if (magic === PCAP_MICROSECONDS) return { format: 'pcap', littleEndian, nanoseconds: false };
      if (magic === PCAP_NANOSECONDS) return { format: 'pcap', littleEndian, nanoseconds: true };
    }
  }
  return { format: 'other', seems: describe(head.subarray(0, MOST_BYTES)) };
}

function describe(head: Buffer): string {
  if (head.length === 0) return 'empty: nothing was captured, or it was not written out yet';
  const start = head.toString('latin1');
  for (const [signature, what, help] of SIGNATURES) {
    if (start.startsWith(signature)) return `no capture that can be read here, but ${what}: ${help}`;
  }
  return `no capture, but ${guess(head, start)}: ${WHAT_IS_READ}`;
}

function guess(head: Buffer, start: string): string {
  if (head.every((byte) => byte === 0)) return 'zeros';
  if (isText(head)) {
    const first = start.trimStart();
    if (/^[[{]/.test(first)) return 'JSON';
    if (first.startsWith('<')) return 'XML or HTML';
    if (/^[0-9a-f\s:x]{16,}$/i.test(first))
      return 'a hex dump (text2pcap, of Wireshark, makes a capture of one)';
    return 'text';
  }
  if (head.length < 4) return `only ${head.length} bytes`;
  return `something else, which begins with the bytes ${head.subarray(0, 4).toString('hex')}`;
}

/** UTF-8 without control characters. The last character may be cut. */
function isText(head: Buffer): boolean {
  const text = head.toString('utf8').replace(/\ufffd$/, '');
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code === 0xfffd || code === 0x7f || (code < 0x20 && !'\t\n\r\f'.includes(character))) return false;
  }
  return text !== '';
}
