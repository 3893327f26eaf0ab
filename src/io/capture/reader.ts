import { CaptureError } from './errors.js';
import { GunzipSource, isGzip } from './gunzip.js';
import type { CaptureInterface, CaptureParser } from './parser.js';
import { PcapParser } from './pcap-parser.js';
import { PcapngParser } from './pcapng-parser.js';
import { RECOGNISE_BYTES, recognise } from './recognise.js';
import type { CaptureRecord } from './record.js';
import { type ByteSource, nameOf, openSource } from './source.js';
import { ReadWindow } from './window.js';

export type { CaptureInterface } from './parser.js';

/**
 * Reads a capture of any size in constant memory:
 *
 * ```ts
 * const reader = await CaptureReader.open(path);
 * const record = new CaptureRecord();
 * do {
 *   while (reader.next(record)) use(record);
 * } while (await reader.more());
 * if (reader.cut !== null) warn(reader.cut);
 * await reader.close();
 * ```
 *
 * A file that is cut or damaged is read up to there: nothing throws, and `cut` says where.
 */
export class CaptureReader {
  /** After the end: null, or where and why the file ends before its end. */
  cut: string | null = null;
  private ended = false;
  private readonly source: ByteSource;
  private readonly parser: CaptureParser;

  private constructor(source: ByteSource, parser: CaptureParser) {
    this.source = source;
    this.parser = parser;
  }

  /**
   * Opens a pcap or pcapng file, perhaps compressed by gzip; the content tells which.
   * @param path `-` is standard input
   * @throws CaptureError when it cannot be read, or is no capture
   */
  static async open(path: string): Promise<CaptureReader> {
    return CaptureReader.from(await openSource(path), nameOf(path));
  }

  /** @param source is closed by the reader, also when this throws; @param name how messages call it */
  static async from(source: ByteSource, name: string): Promise<CaptureReader> {
    const window = new ReadWindow();
    let bytes = source;
    let what = name;
    try {
      await fill(window, bytes);
      if (isGzip(window.bytes, window.end)) {
        bytes = new GunzipSource(Buffer.from(window.bytes.subarray(0, window.end)), source);
        what = `what is compressed in ${name}`;
        window.end = 0;
        await fill(window, bytes);
      }
      const found = recognise(window.bytes.subarray(0, window.end));
      if (found.format === 'other') {
        const cut = bytes.cut === null ? '' : ` (${bytes.cut})`;
        throw new CaptureError(`${what} is ${found.seems}${cut}`);
      }
      const parser =
        found.format === 'pcapng'
          ? new PcapngParser(window)
          : new PcapParser(window, found.littleEndian, found.nanoseconds);
      return new CaptureReader(bytes, parser);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  get format(): 'pcap' | 'pcapng' {
    return this.parser.format;
  }

  /** All interfaces met so far; pcapng files may name one as late as before its first packet. */
  get interfaces(): readonly CaptureInterface[] {
    return this.parser.interfaces;
  }

  /** Bytes taken from the file so far: compressed ones of a compressed file. */
  get bytesRead(): number {
    return this.source.bytesRead;
  }

  /** Size of the file; null for a pipe. */
  get size(): number | null {
    return this.source.size;
  }

  /** The next packet, if it is in memory. The one before is gone. */
  next(record: CaptureRecord): boolean {
    return this.parser.next(record);
  }

  /** Reads on. False at the end, also at one that came too early. */
  async more(): Promise<boolean> {
    if (this.ended) return false;
    const { parser } = this;
    if (parser.problem !== null) {
      const where = `at byte ${parser.position(parser.start)}${afterPackets(parser.packets)}`;
      this.end(`the file is damaged ${where}: ${parser.problem}`);
      return false;
    }
    parser.makeRoom();
    if (parser.end === parser.bytes.length) return true;
    const bytes = await this.source.read(parser.bytes, parser.end);
    parser.end += bytes;
    if (bytes > 0) return true;
    this.end(this.describeEnd());
    return false;
  }

  async close(): Promise<void> {
    this.ended = true;
    await this.source.close();
  }

  private end(cut: string | null): void {
    this.ended = true;
    this.cut = cut;
  }

  /** What is wrong with the end of the file. */
  private describeEnd(): string | null {
    const { parser, source } = this;
    const here = parser.end - parser.start;
    if (here === 0 && source.cut === null) return null;
    const what = source.cut ?? 'the file ends';
    const how = here === 0 ? 'before' : 'in the middle of';
    const where = `at byte ${parser.position(parser.end)}${afterPackets(parser.packets)}`;
    return `${what} ${where}, ${how} ${parser.describeNext()}`;
  }
}

function afterPackets(count: number): string {
  return `, after ${count} packet${count === 1 ? '' : 's'}`;
}

/** Reads until there is enough to recognise the file by. */
async function fill(window: ReadWindow, source: ByteSource): Promise<void> {
  while (window.end < RECOGNISE_BYTES) {
    const bytes = await source.read(window.bytes, window.end);
    if (bytes === 0) break;
    window.end += bytes;
  }
}
