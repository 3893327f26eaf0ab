import type { CaptureInterface, RecordParser } from './parser.js';
import type { CaptureRecord } from './record.js';
import { MAX_RECORD, type ReadWindow } from './window.js';

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

/** The upper bits of the link type tell how many bytes of frame check sequence end each frame. */
const LINK_TYPE_MASK = 0xffff;

export class PcapParser implements RecordParser {
  readonly format = 'pcap';
  readonly interfaces: CaptureInterface[] = [];
  problem: string | null = null;
  private readonly window: ReadWindow;
  private readonly littleEndian: boolean;
  /** Nanoseconds per unit of the timestamps' second word, and units per second. */
  private readonly unit: number;
  private readonly unitsPerSecond: number;
  private linkType = 0;
  private records = 0;
  private headerRead = false;

  constructor(window: ReadWindow, littleEndian: boolean, nanoseconds: boolean) {
    this.window = window;
    this.littleEndian = littleEndian;
    this.unit = nanoseconds ? 1 : 1000;
    this.unitsPerSecond = nanoseconds ? 1_000_000_000 : 1_000_000;
    window.wanted = PCAP_HEADER;
  }

  next(record: CaptureRecord): boolean {
    if (!this.headerRead && !this.readHeader()) return false;
    const window = this.window;
    const data = window.data;
    const at = window.start;
    const here = window.end - at;
    if (here < PCAP_RECORD_HEADER) {
      window.wanted = PCAP_RECORD_HEADER;
      return false;
    }
    const littleEndian = this.littleEndian;
    const captured = data.getUint32(at + 8, littleEndian);
    if (captured > here - PCAP_RECORD_HEADER) return this.want(captured);
    const fraction = data.getUint32(at + 4, littleEndian);
    record.seconds = data.getUint32(at, littleEndian);
    if (fraction < this.unitsPerSecond) record.nanoseconds = fraction * this.unit;
    else this.carry(record, fraction);
    record.offset = at + PCAP_RECORD_HEADER;
    record.capturedLength = captured;
    record.originalLength = data.getUint32(at + 12, littleEndian);
    record.linkType = this.linkType;
    record.interface = 0;
    record.optionsLength = 0;
    // Storing a pointer costs a write barrier, and the buffer seldom changes.
    if (record.data !== data) {
      record.data = data;
      record.bytes = window.bytes;
      record.optionsOffset = 0;
    }
    window.start = at + PCAP_RECORD_HEADER + captured;
    this.records++;
    return true;
  }

  describeNext(): string {
    return this.headerRead ? `record ${this.records + 1}` : 'the file header';
  }

  private readHeader(): boolean {
    const { window, littleEndian } = this;
    if (window.end - window.start < PCAP_HEADER) return false;
    const at = window.start;
    this.linkType = window.data.getUint32(at + 20, littleEndian) & LINK_TYPE_MASK;
    const snapLength = window.data.getUint32(at + 16, littleEndian);
    this.interfaces.push({ linkType: this.linkType, snapLength, name: '', options: [] });
    window.start = at + PCAP_HEADER;
    this.headerRead = true;
    return true;
  }

  /** The record is longer than what is in the window. */
  private want(captured: number): boolean {
    if (captured > MAX_RECORD) {
      this.problem = `${this.describeNext()} claims to have ${captured} bytes`;
    } else {
      this.window.wanted = PCAP_RECORD_HEADER + captured;
    }
    return false;
  }

  /** A fraction of more than a second, which no sound writer makes. */
  private carry(record: CaptureRecord, fraction: number): void {
    const seconds = Math.floor(fraction / this.unitsPerSecond);
    record.seconds += seconds;
    record.nanoseconds = (fraction - seconds * this.unitsPerSecond) * this.unit;
  }
}
