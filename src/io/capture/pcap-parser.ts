import type { CaptureInterface, CaptureParser } from './parser.js';
import type { CaptureRecord } from './record.js';
import { MAX_RECORD, ReadWindow } from './window.js';

/**
 * pcap (draft-ietf-opsawg-pcap): a file header, then packets behind a header of 16 bytes each.
 *
 * ```
 *  0  magic                     0  seconds
 *  4  version 2, 4              4  micro- or nanoseconds
 *  8  two unused words          8  captured length
 * 16  snap length              12  original length
 * 20  link type, FCS length
 * ```
 */

/** The magic in the byte order of the writer; it tells the unit of the timestamps, too. */
export const PCAP_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_NANOSECONDS = 0xa1b23c4d;

export const PCAP_HEADER = 24;
export const PCAP_RECORD_HEADER = 16;

// A constant of this module: V8 folds it into the code (native-notes/benchmarks.md).
const RECORD_HEADER = PCAP_RECORD_HEADER;

/** Positions in a window are smaller. */
const POSITION = 0x3fff_ffff;

/** The upper bits of the link type tell how many bytes of frame check sequence end each frame. */
const LINK_TYPE_MASK = 0xffff;

export class PcapParser extends ReadWindow implements CaptureParser {
  readonly format = 'pcap';
  readonly interfaces: CaptureInterface[] = [];
  packets = 0;
  problem: string | null = null;
  private readonly littleEndian: boolean;
  /** Nanoseconds per unit of the timestamps' second word, and units per second. */
  private readonly unit: number;
  private readonly unitsPerSecond: number;
  /** -1 until the file header was read. */
  private linkType = -1;
  /** What has to be there to look at a record; more than there can be until the file header was read. */
  private least = MAX_RECORD;

  constructor(window: ReadWindow, littleEndian: boolean, nanoseconds: boolean) {
    super(window.bytes, window.end);
    this.littleEndian = littleEndian;
    this.unit = nanoseconds ? 1 : 1000;
    this.unitsPerSecond = nanoseconds ? 1_000_000_000 : 1_000_000;
    this.takeHeader();
  }

  next(record: CaptureRecord): boolean {
    do {
      // With a constant for the byte order, V8 reads a number in one instruction.
      if (this.littleEndian === true ? this.takeNext(record, true) : this.takeNext(record, false))
        return true;
    } while (this.takeHeader());
    return false;
  }

  /** The record at the front, if all of it is here. */
  private takeNext(record: CaptureRecord, littleEndian: boolean): boolean {
    const data = this.data;
    // The masks tell V8 that no sum below can overflow.
    const at = this.start & POSITION;
    const here = (this.end & POSITION) - at;
    if (here < this.least) return false;
    const captured = data.getInt32(at + 8, littleEndian);
    // A length of 2^31 and more is less than 0 here.
    if ((captured | (here - RECORD_HEADER - captured)) < 0) return false;
    const fraction = data.getUint32(at + 4, littleEndian);
    record.seconds = data.getUint32(at, littleEndian);
    if (fraction < this.unitsPerSecond) record.nanoseconds = Math.imul(fraction, this.unit);
    else this.carry(record, fraction);
    record.offset = at + RECORD_HEADER;
    record.capturedLength = captured;
    record.originalLength = data.getUint32(at + 12, littleEndian);
    record.linkType = this.linkType;
    record.interface = 0;
    record.optionsLength = 0;
    // Storing a pointer costs a write barrier, and the buffer seldom changes.
    if (record.data !== data) {
      record.data = data;
      record.bytes = this.bytes;
      record.optionsOffset = 0;
    }
    this.start = at + RECORD_HEADER + captured;
    this.packets++;
    return true;
  }

  describeNext(): string {
    return this.linkType >= 0 ? `record ${this.packets + 1}` : 'the file header';
  }

  /** Takes the file header, if it is what comes next. If not, says what is missing. */
  private takeHeader(): boolean {
    const { data, start, littleEndian } = this;
    const here = this.end - start;
    if (this.linkType >= 0) {
      this.want(here < PCAP_RECORD_HEADER ? 0 : data.getUint32(start + 8, littleEndian));
      return false;
    }
    this.wanted = PCAP_HEADER;
    if (here < PCAP_HEADER) return false;
    this.linkType = data.getUint32(start + 20, littleEndian) & LINK_TYPE_MASK;
    const snapLength = data.getUint32(start + 16, littleEndian);
    this.interfaces.push({ linkType: this.linkType, snapLength, name: '', options: [] });
    this.least = PCAP_RECORD_HEADER;
    this.start = start + PCAP_HEADER;
    return true;
  }

  private want(captured: number): void {
    this.wanted = PCAP_RECORD_HEADER + captured;
    if (captured > MAX_RECORD) this.problem = `${this.describeNext()} claims to have ${captured} bytes`;
  }

  /** A fraction of more than a second, which no sound writer makes. */
  private carry(record: CaptureRecord, fraction: number): void {
    const seconds = Math.floor(fraction / this.unitsPerSecond);
    record.seconds += seconds;
    record.nanoseconds = (fraction - seconds * this.unitsPerSecond) * this.unit;
  }
}
