import type { CaptureOption } from './options.js';
import type { CaptureRecord } from './record.js';
import type { ReadWindow } from './window.js';

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

/**
 * The window of a file with the knowledge of its format: takes packets out of it. One object, because every packet
 * needs both.
 */
export interface CaptureParser extends ReadWindow {
  readonly format: 'pcap' | 'pcapng';
  readonly interfaces: readonly CaptureInterface[];
  /** How many packets were taken. */
  readonly packets: number;
  /** Why the file cannot be understood from here on; null while it can. */
  readonly problem: string | null;
  /**
   * The next packet, when all of it is here. False when it is not (`wanted` says how much has to be), or when there is
   * a problem.
   */
  next(record: CaptureRecord): boolean;
  /** What the bytes are of which the file has only the beginning: `record 3`, `the file header`. */
  describeNext(): string;
}
