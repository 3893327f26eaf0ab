import type { CaptureRecord } from './record.js';

/** Options of pcapng blocks (draft-ietf-opsawg-pcapng section 3.5). */

export interface CaptureOption {
  readonly code: number;
  readonly value: Uint8Array;
}

export const OPTION_HEADER = 4;

/** Options of any block. */
export const OPT_ENDOFOPT = 0;
export const OPT_COMMENT = 1;

/** Options of a section. */
export const SHB_USERAPPL = 4;

/** Options of an interface. */
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_SPEED = 8;
export const IF_TSRESOL = 9;
export const IF_TSOFFSET = 14;
export const IF_TXSPEED = 16;
export const IF_RXSPEED = 17;

/** Options of a packet. */
export const EPB_FLAGS = 2;
export const EPB_HASH = 3;
export const EPB_DROPCOUNT = 4;
export const EPB_PACKETID = 5;
export const EPB_QUEUE = 6;

/** Blocks are filled up to a multiple of four bytes, and so are option values. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/**
 * The options in `[offset, limit)`, values copied, without the end mark. Stops where they stop making sense.
 */
export function readOptions(
  data: DataView,
  offset: number,
  limit: number,
  littleEndian: boolean,
): CaptureOption[] {
  const options: CaptureOption[] = [];
  let at = offset;
  while (at + OPTION_HEADER <= limit) {
    const code = data.getUint16(at, littleEndian);
    const length = data.getUint16(at + 2, littleEndian);
    at += OPTION_HEADER;
    if (code === OPT_ENDOFOPT || at + length > limit) break;
    options.push({ code, value: new Uint8Array(data.buffer, data.byteOffset + at, length).slice() });
    at += padded(length);
  }
  return options;
}

/** Size of those options of an interface that are one number of more than a byte. */
const INTERFACE_NUMBERS: ReadonlyMap<number, number> = new Map([
  [IF_SPEED, 8],
  [IF_TSOFFSET, 8],
  [IF_TXSPEED, 8],
  [IF_RXSPEED, 8],
]);

/** The options of an interface, numbers turned to little-endian. */
export function readInterfaceOptions(
  data: DataView,
  offset: number,
  limit: number,
  littleEndian: boolean,
): CaptureOption[] {
  const options = readOptions(data, offset, limit, littleEndian);
  if (littleEndian) return options;
  return options.map(({ code, value }) =>
    INTERFACE_NUMBERS.get(code) === value.length ? { code, value: value.reverse() } : { code, value },
  );
}

/** The comments that a packet has in its capture. */
export function commentsOf(record: CaptureRecord): string[] {
  const limit = record.optionsOffset + record.optionsLength;
  return readOptions(record.data, record.optionsOffset, limit, record.littleEndian)
    .filter(({ code }) => code === OPT_COMMENT)
    .map(({ value }) => textOf(value));
}

export function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
}
