/**
 * "Is there a socket for this flow here?": the one question the redirector asks of the world outside the packet.
 */

/** The answer to a lookup. */
export const SocketState = {
  /** No socket. */
  None: 0,
  /** TCP in any state but LISTEN (SYN_RECV and TIME_WAIT count); UDP connected to the remote. */
  Established: 1,
  /** TCP LISTEN, or an unconnected UDP socket: it takes new flows and knows none. */
  Listening: 2,
  /** The lookup itself failed. */
  Failed: 3,
} as const;
export type SocketState = (typeof SocketState)[keyof typeof SocketState];

/** Bytes per query in {@link SocketQueries.tuples}: local address 16, remote address 16, local port 2, remote port 2. */
export const TUPLE_SIZE = 36;
export const TUPLE_WORDS = TUPLE_SIZE / 4;

/**
 * Questions of one batch, asked together because a batched netlink request costs half of single ones.
 * Parallel arrays; tuples in network byte order, IPv4 addresses in the first 4 bytes of their 16, the rest zero.
 */
export class SocketQueries {
  readonly capacity: number;
  /** {@link TUPLE_SIZE} bytes per query. "Local" is the VIP's side. */
  readonly tuples: Buffer;
  readonly tuplesData: DataView;
  /** The same bytes as words in the machine's order: to fill, hash and compare. {@link TUPLE_WORDS} per query. */
  readonly words: Int32Array;
  /** 4 or 6. */
  readonly version: Uint8Array;
  /** 6 (TCP) or 17 (UDP). */
  readonly protocol: Uint8Array;
  /** Answers: {@link SocketState}. */
  readonly state: Uint8Array;
  count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.tuples = Buffer.allocUnsafeSlow(capacity * TUPLE_SIZE);
    this.tuples.fill(0);
    this.tuplesData = new DataView(this.tuples.buffer, this.tuples.byteOffset, this.tuples.byteLength);
    this.words = new Int32Array(this.tuples.buffer, this.tuples.byteOffset, capacity * TUPLE_WORDS);
    this.version = new Uint8Array(capacity);
    this.protocol = new Uint8Array(capacity);
    this.state = new Uint8Array(capacity);
  }
}

/** Whether query `a` of `left` and query `b` of `right` ask for the same flow. */
export function sameQuery(left: SocketQueries, a: number, right: SocketQueries, b: number): boolean {
  return (
    left.version[a] === right.version[b] &&
    left.protocol[a] === right.protocol[b] &&
    sameWords(left.words, a * TUPLE_WORDS, right.words, b * TUPLE_WORDS)
  );
}

/** Whether the tuples at `a` of `left` and at `b` of `right` are the same. */
export function sameWords(left: Int32Array, a: number, right: Int32Array, b: number): boolean {
  // The words that differ most first.
  return (
    left[a + 8] === right[b + 8] &&
    left[a + 4] === right[b + 4] &&
    left[a] === right[b] &&
    left[a + 1] === right[b + 1] &&
    left[a + 2] === right[b + 2] &&
    left[a + 3] === right[b + 3] &&
    left[a + 5] === right[b + 5] &&
    left[a + 6] === right[b + 6] &&
    left[a + 7] === right[b + 7]
  );
}

export interface SocketLookup {
  /** Answers queries 0 .. count-1: fills `state`. Never throws; what cannot be answered is `Failed`. */
  resolve(queries: SocketQueries): void;
  /**
   * Query `index` of `queries` is the tuple of a SYN that is about to be delivered here. What was "not here" may
   * be here from now on.
   * @param sequence the SYN's sequence number as an int32 (half of all uint32 would be boxed on the way): a bare ACK that
   *   completes a cookie handshake carries it plus one.
   */
  synAccepted(queries: SocketQueries, index: number, sequence: number): void;
  /**
   * For a flow whose state is `Listening`: could an ACK with this sequence number complete a handshake that the
   * listener answered with a SYN cookie?
   */
  completesCookie(queries: SocketQueries, index: number, sequence: number): boolean;
  /** All packets of the batch have been handed to the kernel. */
  delivered(): void;
}
