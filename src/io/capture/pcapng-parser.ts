import { IF_NAME, IF_TSOFFSET, IF_TSRESOL, padded, readInterfaceOptions, textOf } from './options.js';
import type { CaptureInterface, RecordParser } from './parser.js';
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
import { DEFAULT_TSRESOL, TimestampScale } from './timestamp.js';
import { MAX_RECORD, type ReadWindow } from './window.js';

/** All that a file may make us remember about its interfaces. */
const MAX_INTERFACE_BYTES = 16 << 20;
/** What an interface takes besides its options, roughly. */
const INTERFACE_COST = 256;

/** What packets need of their interface. */
class InterfaceState {
  constructor(
    readonly linkType: number,
    readonly snapLength: number,
    readonly scale: TimestampScale,
  ) {}
}

export class PcapngParser implements RecordParser {
  readonly format = 'pcapng';
  readonly interfaces: CaptureInterface[] = [];
  problem: string | null = null;
  private readonly window: ReadWindow;
  private littleEndian = true;
  private readonly states: InterfaceState[] = [];
  /** Index of the section's first interface. */
  private firstInterface = 0;
  private interfaceBytes = 0;
  private blocks = 0;

  constructor(window: ReadWindow) {
    this.window = window;
    window.wanted = BLOCK_FRAME;
  }

  next(record: CaptureRecord): boolean {
    const window = this.window;
    const data = window.data;
    while (this.problem === null) {
      const at = window.start;
      const here = window.end - at;
      if (here < BLOCK_FRAME) {
        window.wanted = BLOCK_FRAME;
        return false;
      }
      const littleEndian = this.littleEndian;
      const type = data.getUint32(at, littleEndian);
      if (type === BLOCK_SECTION) {
        // The same in both byte orders; which it is, the section says.
        if (!this.enterSection(data, at, here)) return false;
        continue;
      }
      const length = data.getUint32(at + 4, littleEndian);
      if (length > here || length < BLOCK_FRAME || (length & 3) !== 0) {
        this.want(length);
        return false;
      }
      if (data.getUint32(at + length - 4, littleEndian) !== length) {
        return this.fail('ends with another length than it begins with');
      }
      let found = false;
      if (type === BLOCK_ENHANCED_PACKET) {
        found = this.packet(record, data, at, length, false);
      } else if (type === BLOCK_INTERFACE) {
        this.addInterface(data, at, length);
      } else if (type === BLOCK_SIMPLE_PACKET) {
        found = this.simplePacket(record, data, at, length);
      } else if (type === BLOCK_OBSOLETE_PACKET) {
        found = this.packet(record, data, at, length, true);
      }
      // Other blocks (names, statistics, secrets, custom ones) are passed over.
      if (this.problem !== null) return false;
      window.start = at + length;
      this.blocks++;
      if (found) return true;
    }
    return false;
  }

  describeNext(): string {
    return this.blocks === 0 ? 'the section header' : `block ${this.blocks + 1}`;
  }

  /** An enhanced or an obsolete packet block. */
  private packet(
    record: CaptureRecord,
    data: DataView,
    at: number,
    length: number,
    obsolete: boolean,
  ): boolean {
    if (length < LEAST_ENHANCED) return this.fail('is too short for a packet');
    const littleEndian = this.littleEndian;
    const id = obsolete ? data.getUint16(at + 8, littleEndian) : data.getUint32(at + 8, littleEndian);
    const index = this.firstInterface + id;
    if (index >= this.states.length)
      return this.fail(`is of interface ${id}, and ${this.sectionInterfaces()}`);
    const captured = data.getUint32(at + 20, littleEndian);
    if (captured > length - LEAST_ENHANCED) {
      return this.fail(`claims a packet of ${captured} bytes and is ${length} bytes long`);
    }
    const state = this.states[index];
    state.scale.convert(data.getUint32(at + 12, littleEndian), data.getUint32(at + 16, littleEndian), record);
    const options = at + ENHANCED_HEADER + padded(captured);
    record.offset = at + ENHANCED_HEADER;
    record.capturedLength = captured;
    record.originalLength = data.getUint32(at + 24, littleEndian);
    record.linkType = state.linkType;
    record.interface = index;
    record.optionsOffset = options;
    record.optionsLength = at + length - 4 - options;
    record.littleEndian = littleEndian;
    // Storing a pointer costs a write barrier, and the buffer seldom changes.
    if (record.data !== data) {
      record.data = data;
      record.bytes = this.window.bytes;
    }
    return true;
  }

  /** A packet of the section's first interface, without a time. */
  private simplePacket(record: CaptureRecord, data: DataView, at: number, length: number): boolean {
    if (length < LEAST_SIMPLE) return this.fail('is too short for a packet');
    if (this.firstInterface >= this.states.length) {
      return this.fail(`has a packet, and ${this.sectionInterfaces()}`);
    }
    const state = this.states[this.firstInterface];
    const original = data.getUint32(at + 8, this.littleEndian);
    record.seconds = 0;
    record.nanoseconds = 0;
    record.offset = at + SIMPLE_HEADER;
    // The captured length is not written down: it follows from the snap length and the room there is.
    const uncut = state.snapLength === 0 ? original : Math.min(original, state.snapLength);
    record.capturedLength = Math.min(uncut, length - LEAST_SIMPLE);
    record.originalLength = original;
    record.linkType = state.linkType;
    record.interface = this.firstInterface;
    record.optionsOffset = 0;
    record.optionsLength = 0;
    record.littleEndian = this.littleEndian;
    record.data = data;
    record.bytes = this.window.bytes;
    return true;
  }

  /** @returns false when the section header is not all here, or none. */
  private enterSection(data: DataView, at: number, here: number): boolean {
    const littleEndian = data.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    if (!littleEndian && data.getUint32(at + 8) !== BYTE_ORDER_MAGIC) {
      return this.fail('is a section header without the byte-order magic');
    }
    this.littleEndian = littleEndian;
    const length = data.getUint32(at + 4, littleEndian);
    if (length < LEAST_SECTION || length > here || (length & 3) !== 0) {
      this.want(length < LEAST_SECTION ? 0 : length);
      return false;
    }
    if (data.getUint32(at + length - 4, littleEndian) !== length) {
      return this.fail('ends with another length than it begins with');
    }
    const major = data.getUint16(at + 12, littleEndian);
    if (major !== 1) {
      return this.fail(`is a section in version ${major} of pcapng, of which only version 1 is known`);
    }
    this.firstInterface = this.states.length;
    this.window.start = at + length;
    this.blocks++;
    return true;
  }

  private addInterface(data: DataView, at: number, length: number): void {
    if (length < LEAST_INTERFACE) {
      this.fail('is too short for an interface');
      return;
    }
    this.interfaceBytes += INTERFACE_COST + length;
    if (this.interfaceBytes > MAX_INTERFACE_BYTES) {
      this.fail(`is interface ${this.interfaces.length + 1}: more than anybody has`);
      return;
    }
    const linkType = data.getUint16(at + 8, this.littleEndian);
    const snapLength = data.getUint32(at + 12, this.littleEndian);
    const options = readInterfaceOptions(data, at + 16, at + length - 4, this.littleEndian);
    const optionOf = (wanted: number, size: number) =>
      options.find(({ code, value }) => code === wanted && value.length >= size)?.value;
    const name = optionOf(IF_NAME, 0);
    const resolution = optionOf(IF_TSRESOL, 1);
    const offset = optionOf(IF_TSOFFSET, 8);
    this.interfaces.push({ linkType, snapLength, name: name === undefined ? '' : textOf(name), options });
    const scale = new TimestampScale(
      resolution === undefined ? DEFAULT_TSRESOL : resolution[0],
      offset === undefined ? 0 : Number(new DataView(offset.buffer).getBigInt64(0, true)),
    );
    this.states.push(new InterfaceState(linkType, snapLength, scale));
  }

  private sectionInterfaces(): string {
    const count = this.states.length - this.firstInterface;
    return count === 0 ? 'its section has named none so far' : `its section has named ${count} so far`;
  }

  /** The block is not all in the window, or its length cannot be true. */
  private want(length: number): void {
    if (length < BLOCK_FRAME || (length & 3) !== 0 || length > MAX_RECORD) {
      this.fail(`claims to be ${length} bytes long`);
    } else {
      this.window.wanted = length;
    }
  }

  private fail(what: string): false {
    this.problem = `${this.describeNext()} ${what}`;
    return false;
  }
}
