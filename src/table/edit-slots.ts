import { formatIpv4 } from './address.js';
import { apportion } from './apportion.js';
import { TableError } from './errors.js';
import { ForwardingTable, newSlots } from './forwarding-table.js';
import { shuffle } from './random.js';
import { refuseBadRow } from './rows.js';

/** What the edits of a forwarding table share. */

export const MAX_WEIGHT = 1_000_000;

export function checkServers(servers: readonly { readonly dip: number; readonly weight: number }[]): void {
  if (servers.length === 0) throw new TableError('no-servers', 'a table needs at least one server');
  for (const [index, { dip, weight }] of servers.entries()) {
    if (!Number.isInteger(dip) || dip <= 0 || dip > 0xffff_ffff) {
      throw new TableError('bad-address', `${dip} is no DIP: give an IPv4 address other than 0.0.0.0`);
    }
    if (!(weight > 0 && weight <= MAX_WEIGHT)) {
      throw new TableError(
        'bad-weight',
        `${formatIpv4(dip)} has weight ${weight}: give a number above 0, up to ${MAX_WEIGHT}`,
      );
    }
    if (dip === servers[index - 1]?.dip) {
      throw new TableError('duplicate-server', `${formatIpv4(dip)} is given twice: give each server once`);
    }
  }
}

export function copySlots(table: ForwardingTable): Uint32Array {
  const slots = newSlots(table.bucketCount);
  slots.set(table.slots);
  return slots;
}

export function bucketsWhere(slots: Uint32Array, test: (first: number, second: number) => boolean): number[] {
  const buckets: number[] = [];
  for (let bucket = 0; 2 * bucket < slots.length; bucket++) {
    if (test(slots[2 * bucket], slots[2 * bucket + 1])) buckets.push(bucket);
  }
  return buckets;
}

export function repeatEach(values: readonly number[], times: readonly number[]): number[] {
  return values.flatMap((value, index) => new Array<number>(times[index]).fill(value));
}

/** In how many buckets a server gets new flows. */
export interface ServerBuckets {
  readonly dip: number;
  readonly buckets: number;
}

/**
 * How many buckets each donor gives to one more server, by address: together an equal share, in proportion to what they
 * have.
 * @throws TableError `too-many-servers` when the share is empty
 */
export function donations(bucketCount: number, donors: readonly ServerBuckets[]): Map<number, number> {
  const share = Math.floor(bucketCount / (donors.length + 1));
  if (share === 0) {
    throw new TableError(
      'too-many-servers',
      `${bucketCount} buckets are too few for ${donors.length + 1} servers: make a table with more`,
    );
  }
  const quotas = apportion(
    share,
    donors.map(({ buckets }) => buckets),
  );
  return new Map(donors.map(({ dip }, index) => [dip, quotas[index]]));
}

/** All buckets, the cheapest first, in random order where they cost the same. */
export function bucketsByCost(slots: Uint32Array, seed: number, cost: (bucket: number) => number): number[] {
  const all = bucketsWhere(slots, () => true);
  return shuffle(all, seed).sort((a, b) => cost(a) - cost(b));
}

export function nextTable(table: ForwardingTable, slots: Uint32Array): ForwardingTable {
  refuseBadRow(slots, 'the table cannot be edited');
  return new ForwardingTable({
    trafficset: table.trafficset,
    version: table.version + 1,
    hashKey: table.hashKey,
    slots,
  });
}
