import { commentsOf } from '../../../src/io/capture/options.js';
import { CaptureReader } from '../../../src/io/capture/reader.js';
import { CaptureRecord } from '../../../src/io/capture/record.js';
import type { ByteSource } from '../../../src/io/capture/source.js';

/** Capture files byte by byte, after the formats' descriptions and independent of what reads and writes them. */
export class Bytes {
  private readonly parts: Buffer[] = [];

  constructor(private readonly littleEndian: boolean) {}

  u16(...values: number[]): this {
    for (const value of values) this.put(2, (data) => data.setUint16(0, value, this.littleEndian));
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) this.put(4, (data) => data.setUint32(0, value, this.littleEndian));
    return this;
  }

  u64(value: bigint): this {
    return this.put(8, (data) => data.setBigUint64(0, value, this.littleEndian));
  }

  raw(bytes: Uint8Array | string): this {
    this.parts.push(Buffer.from(bytes));
    return this;
  }

  /** Zeros up to a multiple of four bytes. */
  pad(): this {
    return this.raw(new Uint8Array(-this.length & 3));
  }

  option(code: number, value: Uint8Array | string): this {
    const bytes = Buffer.from(value);
    return this.u16(code, bytes.length).raw(bytes).pad();
  }

  get length(): number {
    return this.parts.reduce((sum, part) => sum + part.length, 0);
  }

  done(): Buffer {
    return Buffer.concat(this.parts);
  }

  private put(size: number, set: (data: DataView) => void): this {
    const data = new DataView(new ArrayBuffer(size));
    set(data);
    return this.raw(new Uint8Array(data.buffer));
  }
}

export interface PcapOptions {
  readonly littleEndian?: boolean;
  readonly magic?: number;
  readonly linkType?: number;
  readonly snapLength?: number;
}

export interface PcapPacket {
  readonly seconds: number;
  readonly fraction: number;
  readonly bytes: Uint8Array;
  readonly originalLength?: number;
}

export function pcap(options: PcapOptions, packets: readonly PcapPacket[]): Buffer {
  const { littleEndian = true, magic = 0xa1b2c3d4, linkType = 1, snapLength = 65_535 } = options;
  const file = new Bytes(littleEndian).u32(magic).u16(2, 4).u32(0, 0, snapLength, linkType);
  for (const { seconds, fraction, bytes, originalLength } of packets) {
    file.u32(seconds, fraction, bytes.length, originalLength ?? bytes.length).raw(bytes);
  }
  return file.done();
}

/** Blocks of pcapng in one byte order; without arguments they are the plainest there can be. */
export class Blocks {
  constructor(readonly littleEndian = true) {}

  body(): Bytes {
    return new Bytes(this.littleEndian);
  }

  block(type: number, body: Bytes): Buffer {
    const length = body.length + 12;
    return this.body().u32(type, length).raw(body.done()).u32(length).done();
  }

  section(): Buffer {
    return this.block(0x0a0d0d0a, this.body().u32(0x1a2b3c4d).u16(1, 0).u32(0xffffffff, 0xffffffff));
  }

  interface(linkType = 1, snapLength = 0, options = this.body()): Buffer {
    return this.block(1, this.body().u16(linkType, 0).u32(snapLength).raw(options.done()));
  }

  /** @param time in the unit of the interface */
  packet(
    bytes: Uint8Array,
    time = 0n,
    iface = 0,
    options = this.body(),
    originalLength = bytes.length,
  ): Buffer {
    const body = this.body()
      .u32(iface, Number(time >> 32n), Number(time & 0xffffffffn), bytes.length, originalLength)
      .raw(bytes)
      .pad();
    return this.block(6, body.raw(options.done()));
  }

  obsoletePacket(
    bytes: Uint8Array,
    time: bigint,
    iface: number,
    drops: number,
    options = this.body(),
  ): Buffer {
    const body = this.body()
      .u16(iface, drops)
      .u32(Number(time >> 32n), Number(time & 0xffffffffn), bytes.length, bytes.length)
      .raw(bytes)
      .pad();
    return this.block(2, body.raw(options.done()));
  }

  simplePacket(bytes: Uint8Array, originalLength = bytes.length): Buffer {
    return this.block(3, this.body().u32(originalLength).raw(bytes).pad());
  }
}

/** Bytes from memory, so many at once. */
export class MemorySource implements ByteSource {
  bytesRead = 0;
  readonly size = null;
  readonly cut = null;
  closed = false;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly atOnce = Number.MAX_SAFE_INTEGER,
  ) {}

  read(into: Buffer, offset: number): Promise<number> {
    const length = Math.min(this.atOnce, into.length - offset, this.bytes.length - this.bytesRead);
    into.set(this.bytes.subarray(this.bytesRead, this.bytesRead + length), offset);
    this.bytesRead += length;
    return Promise.resolve(length);
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** What a record says, apart from where it lies. */
export interface Packet {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly originalLength: number;
  readonly linkType: number;
  readonly interface: number;
  readonly bytes: string;
  readonly comments: readonly string[];
}

export function packetOf(record: CaptureRecord): Packet {
  const { seconds, nanoseconds, originalLength, linkType, offset, capturedLength } = record;
  return {
    seconds,
    nanoseconds,
    originalLength,
    linkType,
    interface: record.interface,
    bytes: record.bytes.toString('hex', offset, offset + capturedLength),
    comments: commentsOf(record),
  };
}

export interface Contents {
  readonly packets: readonly Packet[];
  readonly cut: string | null;
  readonly reader: CaptureReader;
}

/** Reads to the end and closes. */
export async function readToEnd(reader: CaptureReader): Promise<Contents> {
  const record = new CaptureRecord();
  const packets: Packet[] = [];
  do {
    while (reader.next(record)) packets.push(packetOf(record));
  } while (await reader.more());
  await reader.close();
  return { packets, cut: reader.cut, reader };
}

export async function readBytes(bytes: Uint8Array, atOnce?: number): Promise<Contents> {
  return readToEnd(await CaptureReader.from(new MemorySource(bytes, atOnce), 'the file'));
}

export async function readPath(path: string): Promise<Contents> {
  return readToEnd(await CaptureReader.open(path));
}
