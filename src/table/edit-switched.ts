import { formatIpv4 } from './address.js';
import { apportion } from './apportion.js';
import {
  bucketsByCost,
  bucketsWhere,
  copySlots,
  donations,
  nextTable,
  repeatEach,
  type ServerBuckets,
} from './edit-slots.js';
import { TableError } from './errors.js';
import type { ForwardingTable } from './forwarding-table.js';
import { shuffle } from './random.js';

/**
 * Edits where the roles of the hops are switched, as for UDP flows and sessions: there is no SYN, so that a packet that
 * the first hop does not know belongs to the second. New flows therefore go to the second hop, where there is one, and a
 * server that is to get no new ones stays or becomes the first.
 *
 * Source: "Unimog - Cloudflare's edge load balancer" (2020), UDP applications with flows.
 */

/** Who gets new flows of a bucket. */
function newcomer(slots: Uint32Array, bucket: number): number {
  return slots[2 * bucket + 1] || slots[2 * bucket];
}

/** In how many buckets each server but `except` gets new flows, by address. */
export function newcomers(slots: Uint32Array, except = 0): ServerBuckets[] {
  const counts = new Map<number, number>();
  for (let bucket = 0; 2 * bucket < slots.length; bucket++) {
    const dip = newcomer(slots, bucket);
    if (dip !== except && dip !== 0) counts.set(dip, (counts.get(dip) ?? 0) + 1);
  }
  return [...counts].map(([dip, buckets]) => ({ dip, buckets })).sort((a, b) => a.dip - b.dip);
}

/**
 * Takes a server away from new flows. Where it gets them as second hop, the hops are exchanged; where it is alone, one
 * of the others becomes second hop, in proportion to what they get. No flow breaks.
 * @param keep false: the server disappears from the table instead, and its flows break
 * @throws TableError `unknown-server`; `no-servers` when nobody is left
 */
export function drainSwitched(table: ForwardingTable, dip: number, keep: boolean): ForwardingTable {
  if (!table.members.includes(dip)) {
    throw new TableError('unknown-server', `${formatIpv4(dip)} is not in the table: give one of its servers`);
  }
  const slots = copySlots(table);
  const heirs = newcomers(slots, dip);
  for (const bucket of bucketsWhere(slots, (_, second) => second === dip)) {
    slots[2 * bucket + 1] = slots[2 * bucket];
    slots[2 * bucket] = dip;
  }
  const alone = shuffle(
    bucketsWhere(slots, (first, second) => first === dip && second === 0),
    table.version,
  );
  if (alone.length > 0 && heirs.length === 0) {
    throw new TableError('no-servers', `${formatIpv4(dip)} is the only server left: add another one first`);
  }
  const shares = apportion(
    alone.length,
    heirs.map(({ buckets }) => buckets),
  );
  const chosen = repeatEach(
    heirs.map((heir) => heir.dip),
    shares,
  );
  for (const [index, bucket] of alone.entries()) slots[2 * bucket + 1] = chosen[index];
  if (!keep) {
    for (const bucket of bucketsWhere(slots, (first) => first === dip)) moveUp(slots, bucket);
  }
  return nextTable(table, slots);
}

/**
 * Brings a server in: it becomes second hop, and so gets new flows, in an equal share of the buckets. First those in
 * which it is first (the hops are exchanged), then those without a second hop, and last those where the first hop, which
 * has the older flows, has to give way.
 * @throws TableError `duplicate-server` when it gets new flows already; `too-many-servers` when its share is empty
 */
export function addSwitched(table: ForwardingTable, dip: number, seed: number): ForwardingTable {
  const slots = copySlots(table);
  const donors = newcomers(slots);
  if (donors.some((server) => server.dip === dip)) {
    throw new TableError(
      'duplicate-server',
      `${formatIpv4(dip)} gets new flows already: give a server that gets none`,
    );
  }
  const quotaOf = donations(table.bucketCount, donors);
  const cost = (bucket: number) => {
    if (slots[2 * bucket] === dip) return 0;
    return slots[2 * bucket + 1] === 0 ? 1 : 2;
  };
  for (const bucket of bucketsByCost(slots, seed, cost)) {
    const donor = newcomer(slots, bucket);
    const left = quotaOf.get(donor) ?? 0;
    if (left === 0) continue;
    quotaOf.set(donor, left - 1);
    slots[2 * bucket] = donor;
    slots[2 * bucket + 1] = dip;
  }
  return nextTable(table, slots);
}

/** Second hops move up, and are alone: flows that still live on the first hops break. */
export function settleSwitched(table: ForwardingTable): ForwardingTable {
  const slots = copySlots(table);
  for (const bucket of bucketsWhere(slots, (_, second) => second !== 0)) moveUp(slots, bucket);
  return nextTable(table, slots);
}

function moveUp(slots: Uint32Array, bucket: number): void {
  slots[2 * bucket] = slots[2 * bucket + 1];
  slots[2 * bucket + 1] = 0;
}
