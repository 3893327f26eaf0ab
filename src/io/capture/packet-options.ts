import {
  EPB_DROPCOUNT,
  EPB_FLAGS,
  EPB_HASH,
  EPB_PACKETID,
  EPB_QUEUE,
  OPT_ENDOFOPT,
  OPTION_HEADER,
  padded,
} from './options.js';
import type { CaptureOutput } from './output.js';
import type { CaptureRecord } from './record.js';

/** Size of the number that the value of an option is, or begins with. Other values are bytes. */
const NUMBERS: ReadonlyMap<number, number> = new Map([
  [EPB_FLAGS, 4],
  [EPB_DROPCOUNT, 8],
  [EPB_PACKETID, 8],
  [EPB_QUEUE, 4],
  // Custom options: the number of the enterprise, then what it likes.
  [2988, 4],
  [2989, 4],
  [19372, 4],
  [19373, 4],
]);

/**
 * Copies the options of a packet to `at` of a file that is little-endian, without the end mark. They take no more room
 * there than here.
 * @param isElsewhere the packet is written as it was at another place than where it was captured: its flags and its hash
 *   say nothing about it there
 * @returns where they end
 */
export function keepPacketOptions(
  record: CaptureRecord,
  isElsewhere: boolean,
  output: CaptureOutput,
  at: number,
): number {
  const { data, littleEndian } = record;
  const limit = record.optionsOffset + record.optionsLength;
  let read = record.optionsOffset;
  let write = at;
  while (read + OPTION_HEADER <= limit) {
    const code = data.getUint16(read, littleEndian);
    const length = data.getUint16(read + 2, littleEndian);
    const size = OPTION_HEADER + padded(length);
    if (code === OPT_ENDOFOPT || read + size > limit) break;
    if (!isElsewhere || (code !== EPB_FLAGS && code !== EPB_HASH)) {
      output.data.setUint16(write, code, true);
      output.data.setUint16(write + 2, length, true);
      output.copy(record.bytes, read + OPTION_HEADER, size - OPTION_HEADER, write + OPTION_HEADER);
      const number = NUMBERS.get(code) ?? 0;
      if (!littleEndian && number <= length) reverse(output.bytes, write + OPTION_HEADER, number);
      write += size;
    }
    read += size;
  }
  return write;
}

function reverse(bytes: Buffer, at: number, length: number): void {
  bytes.subarray(at, at + length).reverse();
}
