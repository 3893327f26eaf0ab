/**
 * One packet of a capture, re-used for packet after packet: `bytes` and `data` are the reader's buffer, in which the
 * packet lies until the next call of the reader.
 */
export class CaptureRecord {
  bytes: Buffer = Buffer.alloc(0);
  /** The same memory as `bytes`. */
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Where the packet (its link-layer header) starts in `bytes`. */
  offset = 0;
  /** Bytes that are here. */
  capturedLength = 0;
  /** Bytes that the packet had; more than are here when it was cut by the snap length. */
  originalLength = 0;
  /** Since 1970-01-01T00:00:00Z. */
  seconds = 0;
  /** 0 to 999,999,999. */
  nanoseconds = 0;
  /** LINKTYPE_ number. */
  linkType = 0;
  /** Index into the reader's interfaces. */
  interface = 0;
  /** Raw packet options of pcapng in `bytes`; 0 for none. */
  optionsOffset = 0;
  optionsLength = 0;
  /** Byte order of those options. */
  littleEndian = true;
}
