/** Where the load of servers comes from, for the balance steps of one trafficset. */
export interface LoadSource {
  /**
   * What is fresh now, by server name, in any unit that grows with load. A server that nothing fresh is known of is not
   * in it: traffic is moved for what is known only. Never rejects.
   */
  sample(): Promise<ReadonlyMap<string, number>>;
}

/** Shares by weight alone. */
export const NO_LOAD: LoadSource = { sample: () => Promise.resolve(new Map()) };

/** What the sources of load tell of themselves. */
export interface LoadEvents {
  /** Trouble that began, or is another than before; told once. */
  trouble(message: string): void;
  /** It is over. */
  recovered(): void;
  /** Counted each time: samples that were not used, by reason. */
  dropped(
    reason: 'unreachable' | 'stale' | 'not-a-number' | 'ambiguous' | 'no-server',
    samples: number,
  ): void;
}
