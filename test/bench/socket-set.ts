import { hashTuple } from '../../src/io/tuple.js';
import { type SocketLookup, SocketQueries, SocketState, TUPLE_WORDS } from '../../src/path/sockets.js';
import { OFFSET_BITS } from '../../src/wire/ip.js';

/** A socket that the lookup shall find. */
export interface ListedSocket {
  /** 4 or 6. */
  readonly version: number;
  /** 6 (TCP) or 17 (UDP). */
  readonly protocol: number;
  /** {@link TUPLE_SIZE} bytes as in `SocketQueries.tuples`. */
  readonly tuple: Uint8Array;
}

/** Words per entry (one cache line): tuple 9, then these. */
const STRIDE_BITS = 4;
const STRIDE = 1 << STRIDE_BITS;
const VERSION = TUPLE_WORDS;
const PROTOCOL = TUPLE_WORDS + 1;
const SOCKET_STATE = SocketState;
const WORDS = TUPLE_WORDS;
const OFFSETS = OFFSET_BITS;

/**
 * A fixed set of connected sockets in an open-addressing table: what a lookup costs without a kernel. `ListedSockets`
 * of the io room is for replay and makes strings. The native twin has the same table (native/sockets.h).
 */
export class SocketSet implements SocketLookup {
  /** Of the first word of an entry. */
  private readonly wordMask: number;
  private readonly entries: Int32Array;

  constructor(sockets: readonly ListedSocket[]) {
    let size = 16;
    while (size < 2 * sockets.length) size *= 2;
    this.wordMask = (size - 1) * STRIDE;
    this.entries = new Int32Array(size * STRIDE);
    const query = new SocketQueries(1);
    for (const { version, protocol, tuple } of sockets) {
      query.tuples.set(tuple);
      query.version[0] = version;
      query.protocol[0] = protocol;
      const at = this.slot(query, 0);
      for (let word = 0; word < TUPLE_WORDS; word++) {
        this.entries[at + word] = query.words[word];
      }
      this.entries[at + VERSION] = version;
      this.entries[at + PROTOCOL] = protocol;
    }
  }

  resolve(queries: SocketQueries): void {
    const { count, state } = queries;
    for (let i = 0; i < count; i++) {
      state[i] =
        this.entries[this.slot(queries, i) + VERSION] === 0 ? SOCKET_STATE.None : SOCKET_STATE.Established;
    }
  }

  /** Where the socket's entry is, or the free one where it would be. */
  private slot(queries: SocketQueries, index: number): number {
    const { entries, wordMask } = this;
    let at = (hashTuple(queries, index, queries.protocol[index]) << STRIDE_BITS) & wordMask & OFFSETS;
    while (entries[at + VERSION] !== 0 && !holds(entries, at, queries, index)) {
      at = (at + STRIDE) & wordMask & OFFSETS;
    }
    return at;
  }

  synAccepted(): void {
    // A fixed set learns nothing.
  }

  completesCookie(): boolean {
    return false;
  }

  delivered(): void {
    // Nothing waits for it.
  }
}

function holds(entries: Int32Array, at: number, queries: SocketQueries, index: number): boolean {
  if (entries[at + VERSION] !== queries.version[index]) return false;
  if (entries[at + PROTOCOL] !== queries.protocol[index]) return false;
  const { words } = queries;
  const from = index * WORDS;
  if (
    entries[at] !== words[from] ||
    entries[at + 4] !== words[from + 4] ||
    entries[at + 8] !== words[from + 8]
  ) {
    return false;
  }
  if (entries[at + VERSION] === 4) return true;
  return (
    entries[at + 1] === words[from + 1] &&
    entries[at + 2] === words[from + 2] &&
    entries[at + 3] === words[from + 3] &&
    entries[at + 5] === words[from + 5] &&
    entries[at + 6] === words[from + 6] &&
    entries[at + 7] === words[from + 7]
  );
}
