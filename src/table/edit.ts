import { formatIpv4 } from './address.js';
import { apportion } from './apportion.js';
import {
  bucketsByCost,
  bucketsWhere,
  checkServers,
  copySlots,
  donations,
  MAX_WEIGHT,
  nextTable,
  repeatEach,
} from './edit-slots.js';
import { addSwitched, drainSwitched, settleSwitched } from './edit-switched.js';
import { TableError } from './errors.js';
import { ForwardingTable, newSlots } from './forwarding-table.js';
import { shuffle } from './random.js';

/**
 * Making and changing forwarding tables, as pure functions: each edit returns a new table with the next version, in
 * which every bucket has a first hop and no server stands in both slots. By default first and second hop have the roles of
 * a TCP trafficset: new connections go to the first hop, and a server that left it is kept as second hop for those it
 * still has. Where sockets of UDP or sessions decide, the roles are switched: see `edit-switched.ts`.
 *
 * A bucket remembers one server only. Where there is a choice, edits prefer exchanging the two hops of a bucket, which
 * breaks no connection, then buckets without a second hop, and push out a second hop last.
 */

/** Which hop gets new flows: the first (`tcp`), or the second where there is one (`udp`: switched). */
export type HopRoles = 'tcp' | 'udp';

export const HOP_ROLES: readonly HopRoles[] = ['tcp', 'udp'];

export interface ServerWeight {
  /** Host-order IPv4 address. */
  readonly dip: number;
  /** Share relative to the other servers, above 0 and up to {@link MAX_WEIGHT}. Default 1. */
  readonly weight?: number;
}

export interface MakeTableOptions {
  readonly trafficset: string;
  /** Default 1. */
  readonly version?: number;
  /** 8 bytes. */
  readonly hashKey: Uint8Array;
  /** Number of buckets: a power of two, more than a hundred times the number of servers. */
  readonly buckets: number;
  readonly servers: readonly ServerWeight[];
  /** Any integer; the same seed and servers give the same rows. Default 0. */
  readonly seed?: number;
}

/**
 * A first table: shares by weight, exact to one bucket, in pseudo-random places; no second hops.
 * @throws TableError when an option is out of its range
 */
export function makeTable(options: MakeTableOptions): ForwardingTable {
  const { trafficset, version = 1, hashKey, buckets, seed = 0 } = options;
  const servers = options.servers
    .map(({ dip, weight = 1 }) => ({ dip, weight }))
    .sort((a, b) => a.dip - b.dip);
  checkServers(servers);
  const slots = newSlots(buckets);
  if (servers.length > buckets) {
    throw new TableError(
      'too-many-servers',
      `${servers.length} servers do not fit into ${buckets} buckets: use at least 100 buckets per server`,
    );
  }
  const shares = apportion(
    buckets,
    servers.map(({ weight }) => weight),
  );
  const firstHops = shuffle(
    repeatEach(
      servers.map(({ dip }) => dip),
      shares,
    ),
    seed,
  );
  for (const [bucket, dip] of firstHops.entries()) slots[2 * bucket] = dip;
  return new ForwardingTable({ trafficset, version, hashKey, slots });
}

export interface DrainOptions {
  /**
   * True: the server becomes second hop where it was first (with switched roles: the other way round), and keeps its
   * connections. False: it disappears from the table, and its connections break.
   */
  readonly keepSecondHop: boolean;
  /** Default `tcp`. */
  readonly roles?: HopRoles;
}

/**
 * Takes a server out of all first slots. The others take over in proportion to the first slots they have.
 * @throws TableError `unknown-server`; `no-servers` when nobody is left
 */
export function drain(
  table: ForwardingTable,
  dip: number,
  { keepSecondHop, roles = 'tcp' }: DrainOptions,
): ForwardingTable {
  if (roles === 'udp') return drainSwitched(table, dip, keepSecondHop);
  const counts = table.servers();
  if (!counts.some((server) => server.dip === dip)) {
    throw new TableError('unknown-server', `${formatIpv4(dip)} is not in the table: give one of its servers`);
  }
  const heirs = counts.filter((server) => server.dip !== dip && server.first > 0);
  const slots = copySlots(table);
  const orphans = bucketsWhere(slots, (first) => first === dip);
  if (orphans.length > 0) {
    if (heirs.length === 0) {
      throw new TableError('no-servers', `${formatIpv4(dip)} is the only server left: add another one first`);
    }
    const shares = apportion(
      orphans.length,
      heirs.map(({ first }) => first),
    );
    inherit(slots, orphans, new Map(heirs.map((heir, index) => [heir.dip, shares[index]])), table.version);
  }
  if (!keepSecondHop) {
    for (const bucket of bucketsWhere(slots, (_, second) => second === dip)) slots[2 * bucket + 1] = 0;
  } else {
    for (const bucket of orphans) slots[2 * bucket + 1] = dip;
  }
  return nextTable(table, slots);
}

/**
 * Exchanges first and second hop in a fraction of the buckets that have both. Breaks no connection; new ones go to the
 * other server.
 * @param fraction 0 to 1 of the buckets with a second hop
 * @throws TableError `bad-fraction`
 */
export function swapHops(table: ForwardingTable, fraction: number, seed = 0): ForwardingTable {
  if (!(fraction >= 0 && fraction <= 1)) {
    throw new TableError('bad-fraction', `the fraction to swap is ${fraction}: give a number from 0 to 1`);
  }
  const slots = copySlots(table);
  const candidates = shuffle(
    bucketsWhere(slots, (_, second) => second !== 0),
    seed,
  );
  for (const bucket of candidates.slice(0, Math.round(fraction * candidates.length))) {
    const first = slots[2 * bucket];
    slots[2 * bucket] = slots[2 * bucket + 1];
    slots[2 * bucket + 1] = first;
  }
  return nextTable(table, slots);
}

/**
 * Brings a server in: it becomes first hop in an equal share of the buckets, taken from the others in proportion to
 * what they have, and who was first becomes second (with switched roles: it becomes second). A server that is being
 * drained comes back the same way.
 * @throws TableError `duplicate-server` when it has first slots already; `too-many-servers` when its share is empty
 */
export function addServer(
  table: ForwardingTable,
  dip: number,
  seed = 0,
  roles: HopRoles = 'tcp',
): ForwardingTable {
  checkServers([{ dip, weight: 1 }]);
  if (roles === 'udp') return addSwitched(table, dip, seed);
  const donors = table
    .servers()
    .filter(({ first }) => first > 0)
    .map((server) => ({ dip: server.dip, buckets: server.first }));
  if (donors.some((server) => server.dip === dip)) {
    throw new TableError(
      'duplicate-server',
      `${formatIpv4(dip)} has first slots already: give a server that has none`,
    );
  }
  const quotaOf = donations(table.bucketCount, donors);
  const slots = copySlots(table);
  const cost = (bucket: number) => {
    const second = slots[2 * bucket + 1];
    return second === dip ? 0 : second === 0 ? 1 : 2;
  };
  for (const bucket of bucketsByCost(slots, seed, cost)) {
    const donor = slots[2 * bucket];
    const left = quotaOf.get(donor) ?? 0;
    if (left === 0) continue;
    quotaOf.set(donor, left - 1);
    slots[2 * bucket] = dip;
    slots[2 * bucket + 1] = donor;
  }
  return nextTable(table, slots);
}

/**
 * One hop per bucket: the one that gets new connections. Those that still live on the other break.
 * @param roles with `udp`, second hops move up instead of being forgotten
 */
export function clearSecondHops(table: ForwardingTable, roles: HopRoles = 'tcp'): ForwardingTable {
  if (roles === 'udp') return settleSwitched(table);
  const slots = copySlots(table);
  for (let at = 1; at < slots.length; at += 2) slots[at] = 0;
  return nextTable(table, slots);
}

/**
 * Gives each of `buckets` a new first hop, within `quotas` (which add up to their number). A second hop that moves up
 * leaves its slot.
 */
function inherit(
  slots: Uint32Array,
  buckets: readonly number[],
  quotas: Map<number, number>,
  seed: number,
): void {
  const rest: number[] = [];
  for (const bucket of shuffle([...buckets], seed)) {
    const second = slots[2 * bucket + 1];
    const left = quotas.get(second) ?? 0;
    if (left === 0) {
      rest.push(bucket);
      continue;
    }
    quotas.set(second, left - 1);
    slots[2 * bucket] = second;
    slots[2 * bucket + 1] = 0;
  }
  // Nobody who has something left is second hop in any of the rest: it would have moved up there.
  const heirs = shuffle(repeatEach([...quotas.keys()], [...quotas.values()]), seed + 1);
  for (const [index, bucket] of rest.entries()) slots[2 * bucket] = heirs[index];
}
