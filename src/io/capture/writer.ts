import type { AsciiText } from './ascii-text.js';
import type { CaptureOption } from './options.js';
import { CaptureOutput } from './output.js';
import { PcapWriter } from './pcap-writer.js';
import { PcapngWriter } from './pcapng-writer.js';
import type { CaptureRecord } from './record.js';

export interface InterfaceInit {
  /** LINKTYPE_ number. */
  readonly linkType: number;
  readonly snapLength?: number;
  readonly name?: string;
  readonly description?: string;
  /** Options from another capture. Name, description and timestamp options among them give way to the writer's own. */
  readonly options?: readonly CaptureOption[];
}

/** Which way a packet went through its interface. */
export const Direction = { Unknown: 0, In: 1, Out: 2 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

export interface CaptureWriter {
  /** @returns its number, for `write`. @throws CaptureError where the format does not allow another link type */
  addInterface(init: InterfaceInit): number;
  /**
   * Writes one packet, sooner or later.
   * @param bytes holds the packet in `[offset, offset + capturedLength)`
   * @param comment empty for none; pcap has no place for it
   * @param options the record whose packet options are kept, if any; pcap has no place for them
   * @throws SystemError when the file cannot be written
   */
  write(
    iface: number,
    seconds: number,
    nanoseconds: number,
    bytes: Buffer,
    offset: number,
    capturedLength: number,
    originalLength: number,
    comment: AsciiText | string,
    direction?: Direction,
    options?: CaptureRecord | null,
  ): void;
  /** Writes out what is in memory, for a reader who waits at the other end of a pipe. */
  flush(): void;
  /**
   * The reader at the other end of the pipe has gone, as `head` does when it has enough. That is no error: what is
   * written from then on is thrown away, and who asks can stop.
   */
  readonly broken: boolean;
  /** Completes the file and puts it in place. When this fails, `abandon` clears up. @throws SystemError */
  close(): Promise<void>;
  /** Leaves nothing behind but what was written to a pipe, or in place. */
  abandon(): Promise<void>;
}

export interface WriterOptions {
  /**
   * Writes the file under its own name from the start, as what is captured live should be: whoever reads it sees what
   * there is so far, and that is what remains when something goes wrong.
   */
  readonly inPlace?: boolean;
}

/**
 * A path that ends in `.pcap` gives pcap, any other pcapng; `-` is standard output. Unless it is written in place, what
 * is there under that name stays as it is until `close`.
 * @throws CaptureError when it cannot be written
 */
export function openWriter(path: string, options: WriterOptions = {}): CaptureWriter {
  const output = CaptureOutput.open(path, options.inPlace);
  return path.endsWith('.pcap') ? new PcapWriter(output) : new PcapngWriter(output);
}
