import { isIPv4, isIPv6 } from 'node:net';
import { parse } from 'ip6addr';
import { formatIpv6 as formatBytes, formatIpv4 } from '../wire/address.js';
import { TableError } from './errors.js';

export { formatIpv4 };

/**
 * Addresses and prefixes as people write them, to and from numbers; `ip6addr` reads them.
 *
 * What counts as an address is decided by `node:net`, which refuses the spellings that different programs read
 * differently: `010.0.0.1`, `10.1`, `1::00001`. Zone ids are no part of an address here.
 */

/** @returns host-order number. @throws TableError `bad-address` */
export function parseIpv4(text: string): number {
  if (!isIPv4(text)) {
    throw new TableError('bad-address', `${JSON.stringify(text)} is no IPv4 address: write it like 10.0.1.1`);
  }
  return parse(text).toLong() >>> 0;
}

/** @returns four host-order words, the most significant first. @throws TableError `bad-address` */
export function parseIpv6(text: string): number[] {
  if (isIPv6(text)) {
    try {
      parse(text).toBuffer(scratch);
      return [
        scratch.readUInt32BE(0),
        scratch.readUInt32BE(4),
        scratch.readUInt32BE(8),
        scratch.readUInt32BE(12),
      ];
    } catch {
      // Zone ids and `::10.0.0.1` (deprecated by RFC 4291): the same message as for anything else.
    }
  }
  throw new TableError(
    'bad-address',
    `${JSON.stringify(text)} is no IPv6 address: write it like 2001:db8::1, without a zone`,
  );
}

const scratch = Buffer.alloc(16);
const scratchData = new DataView(scratch.buffer, scratch.byteOffset, scratch.byteLength);

/** The form of RFC 5952. @param words four host-order words */
export function formatIpv6(words: ArrayLike<number>): string {
  for (let word = 0; word < 4; word++) scratch.writeUInt32BE(words[word], 4 * word);
  return formatBytes(scratchData, 0);
}

/**
 * The same as {@link parseIpv4}, ten times as fast: ranges come by the hundred thousand, and have to load in less than
 * a second. A test holds the two against each other.
 */
function parseIpv4OfRange(text: string): number {
  if (!isIPv4(text)) return parseIpv4(text);
  let address = 0;
  let byte = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0) {
      // The dot: nothing else below the digits gets past the check.
      address = (address << 8) | byte;
      byte = 0;
    } else {
      byte = byte * 10 + digit;
    }
  }
  return ((address << 8) | byte) >>> 0;
}

/** An address range that shares its first `length` bits. Host bits are zero. */
export class Prefix {
  readonly version: 4 | 6;
  /** The first address as host-order uint32 words, most significant first: one for IPv4, four for IPv6. */
  readonly words: readonly number[];
  /** 0 to 32 or 128. */
  readonly length: number;

  constructor(version: 4 | 6, words: readonly number[], length: number) {
    this.version = version;
    this.words = words;
    this.length = length;
  }

  /** Whether an IPv4 address (host order) lies in it; false for IPv6 prefixes. */
  contains4(address: number): boolean {
    return this.version === 4 && ((address ^ this.words[0]) & leadingBits(this.length)) === 0;
  }

  /** Whether an IPv6 address (four host-order words) lies in it; false for IPv4 prefixes. */
  contains6(words: ArrayLike<number>): boolean {
    if (this.version !== 6) return false;
    for (let word = 0; word < 4; word++) {
      if (((words[word] ^ this.words[word]) & leadingBits(this.length - 32 * word)) !== 0) return false;
    }
    return true;
  }

  /** `192.0.2.0/24`, `2001:db8::/32`. */
  toString(): string {
    const address = this.version === 4 ? formatIpv4(this.words[0]) : formatIpv6(this.words);
    return `${address}/${this.length}`;
  }
}

/**
 * Reads `192.0.2.0/24`, `2001:db8::/32`, or a single address (a /32 or /128).
 * @throws TableError `bad-address`, `bad-prefix` or, naming the right prefix, `host-bits`
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const version = address.includes(':') ? 6 : 4;
  const words = version === 6 ? parseIpv6(address) : [parseIpv4OfRange(address)];
  const bits = 32 * words.length;
  if (version === 6 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    throw new TableError('bad-prefix', `${text} is an IPv4-mapped range: write it as IPv4`);
  }
  const length = slash < 0 ? bits : parseLength(text, text.slice(slash + 1), bits);
  let hostBits = 0;
  for (let word = 0; word < words.length; word++) {
    const mask = leadingBits(length - 32 * word);
    hostBits |= words[word] & ~mask;
    words[word] = (words[word] & mask) >>> 0;
  }
  const prefix = new Prefix(version, words, length);
  if (hostBits !== 0) {
    throw new TableError(
      'host-bits',
      `${text} has bits behind its prefix length: write ${prefix} for the range, or ${address} for the one address`,
    );
  }
  return prefix;
}

function parseLength(text: string, digits: string, bits: number): number {
  const length = /^(0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) : Number.NaN;
  if (length <= bits) return length;
  throw new TableError(
    'bad-prefix',
    `${JSON.stringify(text)} has no prefix length from 0 to ${bits} behind the slash`,
  );
}

/** The mask (int32) of the leading `length` bits of a word; any `length` is clamped to 0..32. */
export function leadingBits(length: number): number {
  if (length <= 0) return 0;
  return length >= 32 ? -1 : -1 << (32 - length);
}
