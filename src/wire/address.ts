/**
 * Addresses as text, for people. Parsing is configuration's business and done elsewhere.
 *
 * Source: RFC 5952 (one canonical text form for every IPv6 address).
 */

/** Dotted decimal. @param address as a number in host order */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/**
 * Lower case, no leading zeros, `::` for the longest run of at least two zero groups and for the first of equals
 * (section 4); IPv4-mapped addresses end in dotted decimal (section 5).
 * @param offset where the 16 bytes start
 */
export function formatIpv6(data: DataView, offset: number): string {
  if (isIpv4Mapped(data, offset)) return `::ffff:${formatIpv4(data.getUint32(offset + 12))}`;
  let gapStart = 8;
  let gapLength = 1;
  let run = 0;
  for (let i = 0; i < 8; i++) {
    run = data.getUint16(offset + 2 * i) === 0 ? run + 1 : 0;
    if (run > gapLength) {
      gapLength = run;
      gapStart = i + 1 - run;
    }
  }
  // Written group by group: captures are commented by the million.
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === gapStart) {
      text += '::';
      i += gapLength - 1;
      continue;
    }
    const group = data.getUint16(offset + 2 * i);
    groupTexts[group] ??= group.toString(16);
    text += text === '' || text.endsWith(':') ? groupTexts[group] : `:${groupTexts[group]}`;
  }
  return text;
}

/** Filled as groups are met. */
const groupTexts: string[] = [];

/** ::ffff:0:0/96 (RFC 4291 section 2.5.5.2). */
function isIpv4Mapped(data: DataView, offset: number): boolean {
  return (
    data.getUint32(offset) === 0 && data.getUint32(offset + 4) === 0 && data.getUint32(offset + 8) === 0xffff
  );
}
