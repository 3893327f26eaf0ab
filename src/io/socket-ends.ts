import type { SocketLookup, SocketQueries } from '../path/sockets.js';

/** What a cache of sockets needs to know about their ends. */

/** The lookup behind the cache. */
export interface DurableLookup extends SocketLookup {
  /** After `resolve`: 1 where the socket found is one whose end {@link SocketEnds} announces. */
  readonly durable: Uint8Array;
  close(): void;
}

/** Where the ends of sockets are announced. */
export interface SocketEnds {
  /** The announcements last taken: tuples 0 .. count-1. */
  readonly tuples: SocketQueries;
  /** Takes some announcements. @returns 0 when there are no more, a negative number when some were lost. */
  take(): number;
  close(): void;
}
