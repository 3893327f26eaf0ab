import type { SocketLookup } from '../path/sockets.js';

/**
 * What a cache of sockets needs to know about their ends. Sockets are named by the kernel's socket cookie: 64 bits,
 * never used twice, here as two words, the low one first. A socket's addresses would not do: an aborted connection
 * has lost its remote port by the time its end is announced.
 */

/** The lookup behind the cache. */
export interface DurableLookup extends SocketLookup {
  /**
   * After `resolve`, two words per query: the cookie of the socket found, if {@link SocketEnds} will announce its
   * end; otherwise 0.
   */
  readonly cookies: Uint32Array;
  close(): void;
}

/** Where the ends of sockets are announced. */
export interface SocketEnds {
  /** Cookies of the sockets announced by the last {@link take}, two words each. */
  readonly cookies: Uint32Array;
  /** Takes some announcements. @returns how many; 0 when there are no more, negative when some were lost */
  take(): number;
  close(): void;
}
