/**
 * Addresses as text, for people. Parsing is configuration's business and done elsewhere.
 *
 * Source: RFC 5952 (one canonical text form for every IPv6 address).
 */

/** Dotted decimal. @param address as a number in host order */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** @param offset where the 16 bytes start; see {@link writeIpv6} for the form */
export function formatIpv6(data: DataView, offset: number): string {
  return scratch.toString('latin1', 0, writeIpv6(data, offset, scratch, 0));
}

/** The longest: IPv4-mapped, or eight groups of four digits. */
const scratch = Buffer.alloc(45);

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
/** From 10 on, digits are letters. */
const LETTERS = 0x61 - 10;

/**
 * Dotted decimal as ASCII.
 * @param address as a number in host order; @param into has room for 15 bytes at `at`
 * @returns one past the last byte
 */
export function writeIpv4(address: number, into: Uint8Array, at: number): number {
  let end = writeDecimal(address >>> 24, into, at);
  into[end++] = DOT;
  end = writeDecimal((address >>> 16) & 0xff, into, end);
  into[end++] = DOT;
  end = writeDecimal((address >>> 8) & 0xff, into, end);
  into[end++] = DOT;
  return writeDecimal(address & 0xff, into, end);
}

/**
 * Lower case, no leading zeros, `::` for the longest run of at least two zero groups and for the first of equals
 * (section 4); IPv4-mapped addresses end in dotted decimal (section 5).
 * @param offset where the 16 bytes start in `data`; @param into has room for 45 bytes at `at`
 * @returns one past the last byte
 */
export function writeIpv6(data: DataView, offset: number, into: Uint8Array, at: number): number {
  const isMapped = isIpv4Mapped(data, offset);
  const groups = isMapped ? 6 : 8;
  let gapStart = 8;
  let gapLength = 1;
  let run = 0;
  for (let i = 0; i < groups; i++) {
    run = data.getUint16(offset + 2 * i) === 0 ? run + 1 : 0;
    if (run > gapLength) {
      gapLength = run;
      gapStart = i + 1 - run;
    }
  }
  let end = at;
  for (let i = 0; i < groups; i++) {
    // A gap brings both of its colons; between groups there is one.
    if (i === gapStart) {
      into[end++] = COLON;
      into[end++] = COLON;
      i += gapLength - 1;
      continue;
    }
    if (i > 0 && i !== gapStart + gapLength) into[end++] = COLON;
    end = writeHex(data.getUint16(offset + 2 * i), into, end);
  }
  if (!isMapped) return end;
  into[end++] = COLON;
  return writeIpv4(data.getUint32(offset + 12), into, end);
}

/** @param value from 0; @returns one past the last digit */
export function writeDecimal(value: number, into: Uint8Array, at: number): number {
  // Whole numbers of 31 bits are divided without a float.
  if (value > 0x7fffffff) {
    const upper = Math.floor(value / 1e9);
    return writeDigits(value - upper * 1e9, into, writeDecimal(upper, into, at), 9);
  }
  let digits = 1;
  for (let rest = value | 0; rest >= 10; rest = (rest / 10) | 0) digits++;
  return writeDigits(value | 0, into, at, digits);
}

/** With leading zeros where the value has fewer digits. @param value below 2^31 */
function writeDigits(value: number, into: Uint8Array, at: number, digits: number): number {
  let rest = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (rest / 10) | 0;
    into[i] = ZERO + (rest - 10 * next);
    rest = next;
  }
  return at + digits;
}

/** Without leading zeros. @param value 0 to 0xffff */
function writeHex(value: number, into: Uint8Array, at: number): number {
  let end = at;
  for (let shift = value > 0xfff ? 12 : value > 0xff ? 8 : value > 0xf ? 4 : 0; shift >= 0; shift -= 4) {
    into[end++] = hexDigit((value >>> shift) & 0xf);
  }
  return end;
}

/** @param digit 0 to 15; @returns its ASCII code */
export function hexDigit(digit: number): number {
  return digit < 10 ? ZERO + digit : LETTERS + digit;
}

/** ::ffff:0:0/96 (RFC 4291 section 2.5.5.2). */
function isIpv4Mapped(data: DataView, offset: number): boolean {
  return (
    data.getUint32(offset) === 0 && data.getUint32(offset + 4) === 0 && data.getUint32(offset + 8) === 0xffff
  );
}
