/** One field of a header, or a piece of payload. */
export interface Field {
  /** As the RFC that defines it writes it. */
  name: string;
  /** Of its first byte in the frame. Fields of less than a byte share their byte. */
  offset: number;
  /** In bytes. */
  length: number;
  /** The bytes in hexadecimal; of long fields only the first, with `…` behind them. */
  hex: string;
  /** As a person reads it. */
  value: string;
  /** What the value means, or whether it holds. */
  note?: string;
}

/**
 * One header with all that it carries, as far as the bytes are here.
 *
 * Layers nest: each one lies inside the one before it, or begins where that one (and what is around it) ended. So a
 * byte belongs to the last layer of the list that spans it, and that layer has a field for it.
 */
export interface Layer {
  /** `IPv4`, `TCP`, `GUE` ...; `Payload` for bytes that nothing here reads, `Trailer` for bytes behind a packet's end. */
  protocol: string;
  /** Of its first byte in the frame. */
  offset: number;
  /** In bytes, with what it carries. */
  length: number;
  /** In a few words. Where there are two ends it begins with them: `198.51.100.7 > 192.0.2.1`, `40000 > 80 SYN ...`. */
  summary: string;
  fields: Field[];
  /** Where the bytes are not what the header says. */
  problem?: string;
  /** Part of the packet that an ICMP error is about. */
  quoted?: true;
  /** How many bytes it announces behind its last one, in a packet that was cut. */
  missing?: number;
}
