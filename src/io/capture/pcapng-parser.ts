import { endianness } from 'node:os';
import { InterfaceList } from './interfaces.js';
import { padded, readInterfaceOptions } from './options.js';
import type { CaptureInterface, CaptureParser } from './parser.js';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_FRAME,
  BLOCK_INTERFACE,
  BLOCK_OBSOLETE_PACKET,
  BLOCK_SECTION,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER,
  LEAST_ENHANCED,
  LEAST_INTERFACE,
  LEAST_SECTION,
  LEAST_SIMPLE,
  SIMPLE_HEADER,
} from './pcapng.js';
import type { CaptureRecord } from './record.js';
import { TimestampScale } from './timestamp.js';
import { MAX_RECORD, ReadWindow } from './window.js';

// Constants of this module: V8 folds them into the code (native-notes/benchmarks.md).
const ENHANCED_PACKET = BLOCK_ENHANCED_PACKET;
const ENHANCED = ENHANCED_HEADER;
const LEAST_PACKET = LEAST_ENHANCED;
/** Positions in a window are smaller. */
const POSITION = 0x3fff_ffff;
const SIGN = 0x8000_0000;
const HOST_LITTLE_ENDIAN = endianness() === 'LE';

/** What became of a block. */
const Block = { Passed: 0, Packet: 1, Bad: 2 } as const;
type Block = (typeof Block)[keyof typeof Block];

/** pcapng, block by block (see pcapng.ts). */
export class PcapngParser extends ReadWindow implements CaptureParser {
  readonly format = 'pcapng';
  packets = 0;
  problem: string | null = null;
  private readonly list = new InterfaceList();
  private littleEndian = true;
  private inHostOrder = false;
  /** Blocks that were no packets. */
  private others = 0;
  // The interface of the last packet: its number in the section, -1 for none, and what packets need of it.
  private id = -1;
  private index = 0;
  private linkType = 0;
  private scale = new TimestampScale(0, 0);

  constructor(window: ReadWindow) {
    super(window.bytes, window.end);
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.list.all;
  }

  next(record: CaptureRecord): boolean {
    if (this.inHostOrder === true && this.takeNext(record)) return true;
    // Where both answers are constants, V8 does not look what kind of value they are.
    if (this.takeBlocks(record)) return true;
    return false;
  }

  /**
   * The short way for what nearly all blocks are: a sound enhanced packet in the byte order of this machine, all here,
   * of the same interface as the packet before. {@link takeBlocks} would do the same with it. As few branches as can
   * be: they are what it takes.
   */
  private takeNext(record: CaptureRecord): boolean {
    const words = this.words;
    // All blocks are aligned, in the file and here. The masks tell V8 that no sum below can overflow.
    const at = this.start & POSITION;
    const here = (this.end & POSITION) - at;
    const word = at >>> 2;
    if (here < LEAST_PACKET || words[word] !== ENHANCED_PACKET) return false;
    const length = words[word + 1];
    const captured = words[word + 5];
    const most = (length - LEAST_PACKET) | 0;
    if (
      length > here ||
      (length & (SIGN | 3)) !== 0 ||
      (most | captured) < 0 ||
      captured > most ||
      words[word + (length >>> 2) - 1] !== length ||
      words[word + 2] !== this.id
    ) {
      return false;
    }
    this.scale.convert(words[word + 3], words[word + 4], record);
    const body = (captured + 3) & ~3;
    record.offset = at + ENHANCED;
    record.capturedLength = captured;
    record.originalLength = words[word + 6] >>> 0;
    record.linkType = this.linkType;
    record.interface = this.index;
    record.optionsOffset = at + ENHANCED + body;
    record.optionsLength = most - body;
    record.littleEndian = HOST_LITTLE_ENDIAN;
    // Storing a pointer costs a write barrier, and the buffer seldom changes.
    if (record.data !== this.data) {
      record.data = this.data;
      record.bytes = this.bytes;
    }
    this.start = at + length;
    this.packets++;
    return true;
  }

  /** Goes on block by block until one is a packet. */
  private takeBlocks(record: CaptureRecord): boolean {
    const data = this.data;
    for (;;) {
      const at = this.start;
      const here = this.end - at;
      if (here < BLOCK_FRAME) {
        this.wanted = BLOCK_FRAME;
        return false;
      }
      const type = data.getUint32(at, this.littleEndian);
      // The type of a section is the same in both byte orders; which one it has, it says itself.
      if (type === BLOCK_SECTION && !this.takeByteOrder(data, at)) return false;
      const length = data.getUint32(at + 4, this.littleEndian);
      if (length > here || length < BLOCK_FRAME || (length & 3) !== 0) return this.want(length);
      if (data.getUint32(at + length - 4, this.littleEndian) !== length) {
        return this.fail('ends with another length than it begins with');
      }
      const block = this.takeBlock(record, data, type, at, length);
      if (block === Block.Bad) return false;
      this.start = at + length;
      if (block === Block.Packet) {
        this.packets++;
        return true;
      }
      this.others++;
    }
  }

  describeNext(): string {
    const before = this.packets + this.others;
    return before === 0 ? 'the section header' : `block ${before + 1}`;
  }

  private select(id: number): boolean {
    const index = this.list.indexOf(id);
    if (index < 0) return this.fail(`is of interface ${id}, and ${this.list.describe()}`);
    this.id = id;
    this.index = index;
    this.linkType = this.list.all[index].linkType;
    this.scale = this.list.scales[index];
    return true;
  }

  private takeBlock(record: CaptureRecord, data: DataView, type: number, at: number, length: number): Block {
    switch (type) {
      case BLOCK_SECTION:
        return this.enterSection(data, at, length) ? Block.Passed : Block.Bad;
      case BLOCK_INTERFACE:
        return this.addInterface(data, at, length) ? Block.Passed : Block.Bad;
      case BLOCK_ENHANCED_PACKET:
      case BLOCK_OBSOLETE_PACKET:
        return this.takePacket(record, data, type, at, length) ? Block.Packet : Block.Bad;
      case BLOCK_SIMPLE_PACKET:
        return this.takeSimplePacket(record, data, at, length) ? Block.Packet : Block.Bad;
      default:
        // Names, statistics, secrets, and whatever came or will come later.
        return Block.Passed;
    }
  }

  private takePacket(
    record: CaptureRecord,
    data: DataView,
    type: number,
    at: number,
    length: number,
  ): boolean {
    if (length < LEAST_ENHANCED) return this.fail('is too short for a packet');
    const littleEndian = this.littleEndian;
    const enhanced = type === BLOCK_ENHANCED_PACKET;
    const id = enhanced ? data.getUint32(at + 8, littleEndian) : data.getUint16(at + 8, littleEndian);
    if (!this.select(id)) return false;
    const captured = data.getUint32(at + 20, littleEndian);
    if (captured > length - LEAST_ENHANCED) {
      return this.fail(`claims a packet of ${captured} bytes and is ${length} bytes long`);
    }
    this.scale.convert(data.getInt32(at + 12, littleEndian), data.getInt32(at + 16, littleEndian), record);
    record.offset = at + ENHANCED_HEADER;
    record.capturedLength = captured;
    record.originalLength = data.getUint32(at + 24, littleEndian);
    record.optionsOffset = at + ENHANCED_HEADER + padded(captured);
    record.optionsLength = at + length - 4 - record.optionsOffset;
    this.describePlace(record);
    return true;
  }

  /** A packet of the section's first interface, without a time. */
  private takeSimplePacket(record: CaptureRecord, data: DataView, at: number, length: number): boolean {
    if (length < LEAST_SIMPLE) return this.fail('is too short for a packet');
    if (!this.select(0)) return false;
    const { snapLength } = this.list.all[this.index];
    const original = data.getUint32(at + 8, this.littleEndian);
    // The captured length is not written down: it follows from the snap length and the room there is.
    const uncut = snapLength === 0 ? original : Math.min(original, snapLength);
    record.seconds = 0;
    record.nanoseconds = 0;
    record.offset = at + SIMPLE_HEADER;
    record.capturedLength = Math.min(uncut, length - LEAST_SIMPLE);
    record.originalLength = original;
    record.optionsOffset = 0;
    record.optionsLength = 0;
    this.describePlace(record);
    return true;
  }

  private describePlace(record: CaptureRecord): void {
    record.bytes = this.bytes;
    record.data = this.data;
    record.linkType = this.linkType;
    record.interface = this.index;
    record.littleEndian = this.littleEndian;
  }

  private takeByteOrder(data: DataView, at: number): boolean {
    this.littleEndian = data.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    this.inHostOrder = this.littleEndian === HOST_LITTLE_ENDIAN;
    if (this.littleEndian || data.getUint32(at + 8) === BYTE_ORDER_MAGIC) return true;
    return this.fail('is a section header without the byte-order magic');
  }

  private enterSection(data: DataView, at: number, length: number): boolean {
    if (length < LEAST_SECTION) return this.fail('is too short for a section header');
    const major = data.getUint16(at + 12, this.littleEndian);
    if (major !== 1) return this.fail(`is a section in version ${major} of pcapng: only version 1 is known`);
    this.list.enterSection();
    this.id = -1;
    return true;
  }

  private addInterface(data: DataView, at: number, length: number): boolean {
    if (length < LEAST_INTERFACE) return this.fail('is too short for an interface');
    const linkType = data.getUint16(at + 8, this.littleEndian);
    const snapLength = data.getUint32(at + 12, this.littleEndian);
    const options = readInterfaceOptions(data, at + 16, at + length - 4, this.littleEndian);
    if (this.list.add(linkType, snapLength, options, length)) return true;
    return this.fail(`is interface ${this.list.all.length + 1}: more than anybody has`);
  }

  /** The block is not all in the window, or its length cannot be true. */
  private want(length: number): false {
    if (length < BLOCK_FRAME || (length & 3) !== 0 || length > MAX_RECORD) {
      return this.fail(`claims to be ${length} bytes long`);
    }
    this.wanted = length;
    return false;
  }

  private fail(what: string): false {
    this.problem = `${this.describeNext()} ${what}`;
    return false;
  }
}
