/**
 * The Internet checksum as RFC 1071 tells it, word by word with the carry added at once: the obvious twin that the
 * fast one is measured against.
 */
export function slowChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    const low = i + 1 < bytes.length ? bytes[i + 1] : 0;
    sum += bytes[i] * 256 + low;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}
