import { CaptureError } from './errors.js';
import type { CaptureOutput } from './output.js';
import { PCAP_HEADER, PCAP_NANOSECONDS, PCAP_RECORD_HEADER } from './pcap-parser.js';
import type { CaptureWriter, InterfaceInit } from './writer.js';

const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
/** Written where no snap length is known: the most that other programs read. */
const DEFAULT_SNAP_LENGTH = 262_144;

/** pcap with nanoseconds, little-endian: one link type, no comments, no options. */
export class PcapWriter implements CaptureWriter {
  private readonly output: CaptureOutput;
  private linkType = -1;
  private interfaces = 0;

  constructor(output: CaptureOutput) {
    this.output = output;
  }

  get broken(): boolean {
    return this.output.broken;
  }

  addInterface(init: InterfaceInit): number {
    if (this.linkType === -1) {
      this.linkType = init.linkType;
      this.writeHeader(init.snapLength ?? 0);
    } else if (this.linkType !== init.linkType) {
      throw new CaptureError(
        `A pcap file has one link type: ${this.linkType} came first, ${init.linkType} does not fit. ` +
          'Write pcapng: any name that does not end in .pcap',
      );
    }
    return this.interfaces++;
  }

  write(
    _iface: number,
    seconds: number,
    nanoseconds: number,
    bytes: Buffer,
    offset: number,
    capturedLength: number,
    originalLength: number,
    _comment: string,
  ): void {
    const output = this.output;
    const size = PCAP_RECORD_HEADER + capturedLength;
    if (output.at + size > output.bytes.length) output.makeRoom(size);
    const at = output.at;
    const data = output.data;
    data.setUint32(at, seconds, true);
    data.setUint32(at + 4, nanoseconds, true);
    data.setUint32(at + 8, capturedLength, true);
    data.setUint32(at + 12, originalLength, true);
    output.copy(bytes, offset, capturedLength, at + PCAP_RECORD_HEADER);
    output.at = at + size;
  }

  flush(): void {
    this.output.flush();
  }

  close(): Promise<void> {
    // A capture without packets is one all the same.
    if (this.linkType === -1) this.addInterface({ linkType: 1 });
    this.output.close();
    return Promise.resolve();
  }

  abandon(): Promise<void> {
    this.output.abandon();
    return Promise.resolve();
  }

  private writeHeader(snapLength: number): void {
    const { output } = this;
    const { data, at } = output;
    data.setUint32(at, PCAP_NANOSECONDS, true);
    data.setUint16(at + 4, VERSION_MAJOR, true);
    data.setUint16(at + 6, VERSION_MINOR, true);
    data.setUint32(at + 8, 0, true);
    data.setUint32(at + 12, 0, true);
    data.setUint32(at + 16, snapLength === 0 ? DEFAULT_SNAP_LENGTH : snapLength, true);
    data.setUint32(at + 20, this.linkType, true);
    output.at = at + PCAP_HEADER;
  }
}
