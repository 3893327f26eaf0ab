import type { CaptureOption } from './options.js';
import type { CaptureRecord } from './record.js';

/** An interface that packets were captured on. pcap files have one without a name. */
export interface CaptureInterface {
  /** LINKTYPE_ number. */
  readonly linkType: number;
  /** Longer packets were cut to this length; 0 for never. */
  readonly snapLength: number;
  /** Empty when the file does not say. */
  readonly name: string;
  /** All options of the interface, multi-byte numbers turned to little-endian. */
  readonly options: readonly CaptureOption[];
}

/** Takes packets out of a {@link ReadWindow}, which it was made on. */
export interface RecordParser {
  readonly format: 'pcap' | 'pcapng';
  readonly interfaces: readonly CaptureInterface[];
  /** Why the file cannot be understood from here on; null while it can. */
  readonly problem: string | null;
  /**
   * The next packet, when all of it is in the window. False when it is not (the window's `wanted` says how much is
   * missing), or when there is a problem.
   */
  next(record: CaptureRecord): boolean;
  /** What the bytes are of which the file has only the beginning: `record 3`, `the file header`. */
  describeNext(): string;
}
