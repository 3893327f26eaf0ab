import { apportion } from '../../table/apportion.js';
import { TableError } from '../../table/errors.js';
import { ForwardingTable, newSlots } from '../../table/forwarding-table.js';
import { shuffle } from '../../table/random.js';
import { Fleet } from './fleet.js';
import { repeatNumbers, writeRow } from './rows.js';
import { exactTargets } from './targets.js';
import type { BalanceSettings, PlannedServer, PlannerState } from './types.js';

/** First tables, and the way between a planner's state and a table. */

export interface InitialOptions {
  /** A power of two, more than a hundred times the number of servers. */
  readonly buckets: number;
  readonly settings: BalanceSettings;
  /** Those that get new flows share the table; the others are not in it. */
  readonly servers: readonly PlannedServer[];
  /** Places servers in buckets: the same seed and servers give the same rows. Default 0. */
  readonly seed?: number;
  /**
   * Give each bucket a holder at once, as evenly as newcomers: nobody has flows there yet, but the first changes can be
   * swaps. Default false. Means nothing where there are no second hops.
   */
  readonly fillHolders?: boolean;
}

/** Where a bucket is worth less than a percent of a server, shares can be balanced finely. */
const BUCKETS_PER_SERVER = 100;

/** The smallest table for so many servers: the power of two above a hundred times their number. */
export function bucketsFor(servers: number): number {
  return 2 ** (Math.floor(Math.log2(BUCKETS_PER_SERVER * Math.max(1, servers))) + 1);
}

/**
 * A first table: shares by weight, exact to one bucket, in pseudo-random places. Its buckets count as old.
 * @returns version 1
 * @throws TableError `bad-bucket-count`; `no-servers` when none may get new flows; `too-many-servers` when a server would
 *   get no bucket
 */
export function initialState(options: InitialOptions): PlannerState {
  const { buckets, settings, servers, seed = 0, fillHolders = false } = options;
  const slots = newSlots(buckets);
  const fleet = new Fleet(servers, settings);
  if (fleet.serving === 0) throw new TableError('no-servers', 'no server may get new flows: add one first');
  if (fleet.serving > buckets) {
    throw new TableError(
      'too-many-servers',
      `${fleet.serving} servers do not fit into ${buckets} buckets: use ${bucketsFor(fleet.serving)}`,
    );
  }
  const ones = new Float64Array(fleet.size).fill(1);
  const exact = exactTargets(fleet, settings, ones, buckets);
  const shares = Uint32Array.from(apportion(buckets, [...exact]));
  const newcomers = shuffle(repeatNumbers(shares), seed);
  const filled = fillHolders && settings.scheme !== 'single';
  const holders = filled ? drawHolders(newcomers, seed + 1) : new Uint32Array(buckets);
  for (let bucket = 0; bucket < buckets; bucket++) {
    writeRow(settings.scheme, slots, bucket, fleet.dips[newcomers[bucket]], fleet.dips[holders[bucket]]);
  }
  return { version: 1, slots, changedAt: new Uint32Array(buckets), corrections: new Map() };
}

/** Somebody else for each bucket, in the same shares as far as that goes; nobody when there is only one server. */
function drawHolders(newcomers: Uint32Array, seed: number): Uint32Array {
  const holders = shuffle(newcomers.slice(), seed);
  // Whoever meets itself changes places with the next one further on that is somebody else.
  let other = 0;
  for (let bucket = 0; bucket < holders.length; bucket++) {
    const self = newcomers[bucket];
    if (holders[bucket] !== self) continue;
    other = Math.max(other, bucket + 1);
    while (other < holders.length && (holders[other] === self || newcomers[other] === self)) other++;
    if (other < holders.length) {
      holders[bucket] = holders[other];
      holders[other] = self;
    } else {
      holders[bucket] = newcomers.find((server) => server !== self) ?? 0;
    }
  }
  return holders;
}

/** The table that nodes get; the rows are not copied. @throws TableError `bad-name`, `bad-hash-key` */
export function toTable(
  { version, slots }: PlannerState,
  trafficset: string,
  hashKey: Uint8Array,
): ForwardingTable {
  return new ForwardingTable({ trafficset, version, hashKey, slots });
}

export interface KnownOfTable {
  /** As in {@link PlannerState.changedAt}; without it, all buckets count as old. */
  readonly changedAt?: Uint32Array;
  readonly corrections?: ReadonlyMap<string, number>;
}

/** A table that was read back, with what else is known of it. The rows are not copied. */
export function fromTable(table: ForwardingTable, known: KnownOfTable = {}): PlannerState {
  return {
    version: table.version,
    slots: table.slots,
    changedAt: known.changedAt ?? new Uint32Array(table.bucketCount),
    corrections: known.corrections ?? new Map(),
  };
}
