/**
 * The options behind an IPv4 or a TCP header: both families are lists of one type byte, one length byte that counts
 * the whole option, and data; type 0 ends the list and type 1 is a single byte of padding.
 *
 * Sources: RFC 791 section 3.1, RFC 9293 section 3.2.
 */

export const OPTION_END = 0;
export const OPTION_NOP = 1;

export interface HeaderOption {
  readonly type: number;
  /** Where the type byte lies. */
  readonly offset: number;
  /** Whole option in bytes; 0 for an option that is cut off or shorter than its own two bytes, which ends the list. */
  readonly length: number;
}

/** Walks the options in `[offset, end)`; neither padding nor the end mark is left out. For cold paths: it allocates. */
export function* headerOptions(data: DataView, offset: number, end: number): Generator<HeaderOption> {
  let at = offset;
  while (at < end) {
    const type = data.getUint8(at);
    if (type === OPTION_END || type === OPTION_NOP) {
      yield { type, offset: at, length: 1 };
      if (type === OPTION_END) return;
      at += 1;
      continue;
    }
    const length = at + 1 < end ? data.getUint8(at + 1) : 0;
    if (length < 2 || at + length > end) {
      yield { type, offset: at, length: 0 };
      return;
    }
    yield { type, offset: at, length };
    at += length;
  }
}
