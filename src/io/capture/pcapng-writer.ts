import type { AsciiText } from './ascii-text.js';
import {
  type CaptureOption,
  EPB_FLAGS,
  IF_DESCRIPTION,
  IF_NAME,
  IF_TSOFFSET,
  IF_TSRESOL,
  OPT_COMMENT,
  OPT_ENDOFOPT,
  OPTION_HEADER,
  padded,
  SHB_USERAPPL,
} from './options.js';
import type { CaptureOutput } from './output.js';
import { keepPacketOptions } from './packet-options.js';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER,
  LEAST_ENHANCED,
  LEAST_INTERFACE,
  LEAST_SECTION,
} from './pcapng.js';
import type { CaptureRecord } from './record.js';
import type { CaptureWriter, Direction, InterfaceInit } from './writer.js';

const APPLICATION = 'twohop';
/** 10^-9 seconds. */
const NANOSECONDS = 9;
const GIGA = 1_000_000_000;
const TWO_32 = 0x1_0000_0000;
const MAX_OPTION = 0xffff;
/** An option of four bytes. */
const FLAGS_SIZE = OPTION_HEADER + 4;
/** UTF-8 needs at most three bytes for each of a string's units. */
const MAX_UTF8 = 3;

/** Most that an enhanced packet block takes besides the packet, its comment's text and what is kept. */
const MOST_BESIDES = LEAST_ENHANCED + FLAGS_SIZE + (OPTION_HEADER + 3) + OPTION_HEADER;

// Constants of this module: V8 folds them into the code (native-notes/benchmarks.md).
const ENHANCED_PACKET = BLOCK_ENHANCED_PACKET;
const ENHANCED = ENHANCED_HEADER;
/** Positions in a buffer are smaller. */
const POSITION = 0x3fff_ffff;
/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x8000_0000;

/** Options of an interface that this writer decides. */
const OWN_INTERFACE_OPTIONS: readonly number[] = [OPT_ENDOFOPT, IF_TSRESOL, IF_TSOFFSET];

/** pcapng in one section, little-endian, with nanoseconds. */
export class PcapngWriter implements CaptureWriter {
  private readonly output: CaptureOutput;
  private interfaces = 0;
  /** The last packet's second, as the 64-bit count of nanoseconds at which it began. */
  private second = -1;
  /** As int32, because those are never boxed. */
  private secondHigh = 0;
  private secondLow = 0;

  constructor(output: CaptureOutput) {
    this.output = output;
    this.writeSection();
  }

  get broken(): boolean {
    return this.output.broken;
  }

  addInterface(init: InterfaceInit): number {
    const kept = (init.options ?? []).filter(
      ({ code }) =>
        !OWN_INTERFACE_OPTIONS.includes(code) &&
        !(code === IF_NAME && init.name !== undefined) &&
        !(code === IF_DESCRIPTION && init.description !== undefined),
    );
    const options: CaptureOption[] = [
      ...(init.name ? [textOption(IF_NAME, init.name)] : []),
      ...(init.description ? [textOption(IF_DESCRIPTION, init.description)] : []),
      { code: IF_TSRESOL, value: Uint8Array.of(NANOSECONDS) },
      ...kept,
    ];
    const length = LEAST_INTERFACE + sizeOf(options);
    const { output } = this;
    if (output.at + length > output.bytes.length) output.makeRoom(length);
    const { data, at } = output;
    data.setUint32(at, BLOCK_INTERFACE, true);
    data.setUint32(at + 4, length, true);
    data.setUint16(at + 8, init.linkType, true);
    data.setUint16(at + 10, 0, true);
    data.setUint32(at + 12, init.snapLength ?? 0, true);
    this.writeOptions(at + 16, options);
    data.setUint32(at + length - 4, length, true);
    output.at = at + length;
    return this.interfaces++;
  }

  write(
    iface: number,
    seconds: number,
    nanoseconds: number,
    bytes: Buffer,
    offset: number,
    capturedLength: number,
    originalLength: number,
    comment: AsciiText | string,
    direction: Direction = 0,
    options: CaptureRecord | null = null,
  ): void {
    const output = this.output;
    const body = (capturedLength + 3) & ~3;
    const most =
      MOST_BESIDES + body + MAX_UTF8 * comment.length + (options === null ? 0 : options.optionsLength);
    if (output.at + most > output.bytes.length) output.makeRoom(most);
    const start = output.at & POSITION;
    const data = output.data;
    if (seconds !== this.second) this.enterSecond(seconds);
    const low = (this.secondLow + nanoseconds) | 0;
    // As unsigned numbers: a sum that is less than what was added to has overflowed.
    const carry = (low ^ SIGN) < (this.secondLow ^ SIGN) ? 1 : 0;
    data.setInt32(start, ENHANCED_PACKET, true);
    data.setInt32(start + 8, iface, true);
    data.setInt32(start + 12, this.secondHigh + carry, true);
    data.setInt32(start + 16, low, true);
    data.setInt32(start + 20, capturedLength, true);
    data.setInt32(start + 24, originalLength, true);
    let at = start + ENHANCED + body;
    // The padding first, with what the packet then overwrites.
    if ((capturedLength & 3) !== 0) data.setInt32(at - 4, 0, true);
    output.copy(bytes, offset, capturedLength, start + ENHANCED);
    if (direction !== 0 || comment.length > 0 || options !== null) {
      at = this.writePacketOptions(at, comment, direction, options);
    }
    const length = at + 4 - start;
    data.setInt32(at, length, true);
    data.setInt32(start + 4, length, true);
    output.at = at + 4;
  }

  flush(): void {
    this.output.flush();
  }

  close(): Promise<void> {
    this.output.close();
    return Promise.resolve();
  }

  abandon(): Promise<void> {
    this.output.abandon();
    return Promise.resolve();
  }

  /** seconds * 10^9 in two words: the product needs more than the 53 bits of a number. */
  private enterSecond(seconds: number): void {
    const upper = Math.floor(seconds / 0x1_0000) * GIGA;
    const lower = (seconds % 0x1_0000) * GIGA + (upper % 0x1_0000) * 0x1_0000;
    this.second = seconds;
    this.secondHigh = (Math.floor(upper / 0x1_0000) + Math.floor(lower / TWO_32)) | 0;
    this.secondLow = (lower % TWO_32) | 0;
  }

  /** @returns where they end */
  private writePacketOptions(
    start: number,
    comment: AsciiText | string,
    direction: Direction,
    kept: CaptureRecord | null,
  ): number {
    const { output } = this;
    let at = start;
    if (kept !== null) at = keepPacketOptions(kept, direction !== 0, output, at);
    if (direction !== 0) at = this.writeFlags(at, direction);
    if (comment.length > 0) at = this.writeComment(at, comment);
    if (at === start) return at;
    output.data.setUint32(at, OPT_ENDOFOPT, true);
    return at + OPTION_HEADER;
  }

  private writeFlags(at: number, direction: Direction): number {
    const data = this.output.data;
    data.setUint16(at, EPB_FLAGS, true);
    data.setUint16(at + 2, 4, true);
    data.setUint32(at + 4, direction, true);
    return at + FLAGS_SIZE;
  }

  private writeComment(at: number, comment: AsciiText | string): number {
    const { output } = this;
    const { data, bytes } = output;
    const start = at + OPTION_HEADER;
    let length: number;
    if (typeof comment === 'string') {
      // Never cuts a character in two.
      length = bytes.write(comment, start, MAX_OPTION, 'utf8');
    } else {
      length = Math.min(comment.length, MAX_OPTION);
      // Word by word, into the padding: what is too much there is overwritten.
      const source = comment.data;
      for (let i = 0; i < length; i += 4) data.setInt32(start + i, source.getInt32(i));
    }
    const end = start + padded(length);
    for (let i = start + length; i < end; i++) bytes[i] = 0;
    data.setUint16(at, OPT_COMMENT, true);
    data.setUint16(at + 2, length, true);
    return end;
  }

  private writeSection(): void {
    const options = [textOption(SHB_USERAPPL, APPLICATION)];
    const length = LEAST_SECTION + sizeOf(options);
    const { output } = this;
    const { data, at } = output;
    data.setUint32(at, BLOCK_SECTION, true);
    data.setUint32(at + 4, length, true);
    data.setUint32(at + 8, BYTE_ORDER_MAGIC, true);
    data.setUint16(at + 12, 1, true);
    data.setUint16(at + 14, 0, true);
    // Length of the section: -1 for not known.
    data.setUint32(at + 16, 0xffff_ffff, true);
    data.setUint32(at + 20, 0xffff_ffff, true);
    this.writeOptions(at + 24, options);
    data.setUint32(at + length - 4, length, true);
    output.at = at + length;
  }

  private writeOptions(start: number, options: readonly CaptureOption[]): void {
    const { data, bytes } = this.output;
    let at = start;
    for (const { code, value } of options) {
      data.setUint16(at, code, true);
      data.setUint16(at + 2, value.length, true);
      bytes.set(value, at + OPTION_HEADER);
      bytes.fill(0, at + OPTION_HEADER + value.length, at + OPTION_HEADER + padded(value.length));
      at += OPTION_HEADER + padded(value.length);
    }
    data.setUint32(at, OPT_ENDOFOPT, true);
  }
}

function textOption(code: number, text: string): CaptureOption {
  return { code, value: Buffer.from(text, 'utf8').subarray(0, MAX_OPTION) };
}

/** With the end mark. */
function sizeOf(options: readonly CaptureOption[]): number {
  return options.reduce((sum, { value }) => sum + OPTION_HEADER + padded(value.length), OPTION_HEADER);
}
