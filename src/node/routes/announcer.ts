import type { Prefix } from '../../table/address.js';

/** - `none`: nothing is announced by this node at any time. */
export type RouteState = 'none' | 'announced' | 'withdrawn';

/** Tells the router which VIPs this server takes packets for. */
export interface RouteAnnouncer {
  readonly state: RouteState;
  /** @throws RouteError when it cannot be had at all */
  start(): Promise<void>;
  /**
   * Announces exactly these prefixes; none: withdraws them all. Resolves when the router was told, or cannot be told
   * because nothing speaks to it, which withdraws them as well. Never rejects: what fails is told to the log.
   */
  announce(prefixes: readonly Prefix[]): Promise<void>;
  /** How long to go on after everything was withdrawn, in milliseconds: packets are still on their way. */
  readonly drainMs: number;
  /** Ends it, and with it whatever it announced. Leaves nothing behind. */
  stop(): Promise<void>;
}

/** Routes are somebody else's business: static ones in the router. */
export const noRoutes: RouteAnnouncer = {
  state: 'none',
  drainMs: 0,
  start: () => Promise.resolve(),
  announce: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};
