/** Values as people read them. */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexOf(data: DataView, offset: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += HEX[data.getUint8(offset + i)];
  return text;
}

const SHORT = 8;
const WHOLE = 16;

/** Of more than 16 bytes the first 8, and `…`. */
export function shortHexOf(data: DataView, offset: number, length: number): string {
  return length > WHOLE ? `${hexOf(data, offset, SHORT)}…` : hexOf(data, offset, length);
}

export function formatMac(data: DataView, offset: number): string {
  const parts: string[] = [];
  for (let i = 0; i < 6; i++) parts.push(hexOf(data, offset + i, 1));
  return parts.join(':');
}

/** `0x001f`: as many digits as the bytes have. */
export function hexNumber(bytes: number): (value: number) => string {
  return (value) => `0x${value.toString(16).padStart(2 * bytes, '0')}`;
}

export const hex16 = hexNumber(2);
export const hex32 = hexNumber(4);

/** `1 byte`, `20 bytes`. */
export function bytesText(count: number): string {
  return `${count} byte${count === 1 ? '' : 's'}`;
}

/** The note of a number that counts bytes. */
export function inBytes(): string {
  return 'bytes';
}
