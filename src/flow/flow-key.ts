/** Longest flow key in bytes: an IPv6 4-tuple takes 36, a QUIC connection id 20. */
export const MAX_KEY_LENGTH = 64;

/**
 * The bytes that identify a flow, re-used for packet after packet. `words` and `bytes` are the same memory; words
 * are native (little-endian) so that a word read little-endian from a packet keeps the packet's byte order here.
 */
export class FlowKey {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Bytes in use; 0 where the packet names its server, or was dropped. */
  length = 0;
  /** The DIP that the packet names, as an int32; only where the dissector said so. */
  server = 0;

  constructor() {
    this.words = new Int32Array(MAX_KEY_LENGTH / 4);
    this.bytes = new Uint8Array(this.words.buffer);
  }
}
