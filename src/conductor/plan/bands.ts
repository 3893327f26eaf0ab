/**
 * How many buckets each server should have: either whole number next to its exact share will do. The tolerance makes a
 * table that follows its shares be left alone, and lets moves choose those that break nothing.
 */
export class Bands {
  readonly low: Uint32Array;
  readonly high: Uint32Array;

  /**
   * @param exact shares by number of the server; together the whole table
   * @param has what they have, kept up to date by whoever moves buckets
   */
  constructor(
    exact: Float64Array,
    readonly has: Uint32Array,
  ) {
    this.low = Uint32Array.from(exact, Math.floor);
    this.high = Uint32Array.from(exact, Math.ceil);
  }

  lacks(server: number): boolean {
    return this.has[server] < this.low[server];
  }

  canTake(server: number): boolean {
    return this.has[server] < this.high[server];
  }

  hasTooMany(server: number): boolean {
    return this.has[server] > this.high[server];
  }

  canGive(server: number): boolean {
    return this.has[server] > this.low[server];
  }

  /** Servers outside of their bands; those that are to have nothing are somebody else's matter. */
  outside(): number[] {
    const servers: number[] = [];
    for (let server = 1; server < this.has.length; server++) {
      if (this.high[server] === 0) continue;
      if (this.lacks(server) || this.hasTooMany(server)) servers.push(server);
    }
    return servers;
  }
}
