import { formatIpv4 } from '../../table/address.js';
import { TableError } from '../../table/errors.js';
import { AddressNumbers } from './numbers.js';
import type { BalanceSettings, PlannedServer, PlannerState } from './types.js';

/**
 * The servers of one planning step, numbered from 1, so that the work per bucket is with small numbers and typed arrays.
 * Number 0 is nobody. Numbers follow the addresses: the order in which servers are listed changes nothing.
 */

/** What a server may have. Beyond `Serves`, it gets no new flows. */
export const Place = {
  /** Gets new flows by its weight. */
  Serves: 0,
  /** Is to get no new flows, but there is no hurry: drained, weight 0, or of a pool that does not serve this. */
  Leaves: 1,
  /** Its health forbids new flows; those it has may live. */
  Fails: 2,
  /** Nothing lives on it. */
  Gone: 3,
} as const;
export type Place = (typeof Place)[keyof typeof Place];

export class Fleet {
  /** By number; those that stand in the table only come last. */
  readonly dips: number[] = [0];
  /** '' for one that stands in the table only. */
  readonly names: string[] = [''];
  readonly places: Place[] = [Place.Gone];
  readonly weights: number[] = [0];
  readonly pools: string[] = [''];
  /** How many serve. */
  readonly serving: number;
  private readonly numbers = new AddressNumbers();

  /** @throws TableError `duplicate-server`, `bad-address`, `bad-weight` */
  constructor(servers: readonly PlannedServer[], settings: BalanceSettings) {
    let serving = 0;
    for (const server of [...servers].sort((a, b) => a.dip - b.dip)) {
      refuseBad(server, this);
      const place = placeOf(server, settings);
      if (place === Place.Serves) serving++;
      this.add(server.dip, server.name, place, server.weight, server.pool);
    }
    this.serving = serving;
  }

  /** Number of servers, nobody included. */
  get size(): number {
    return this.dips.length;
  }

  /** The number of a server by its address; one that nobody listed is gone. */
  numberOf(dip: number): number {
    if (dip === 0) return 0;
    return this.numbers.get(dip) || this.add(dip, '', Place.Gone, 0, '');
  }

  has(dip: number): boolean {
    return this.numbers.get(dip) !== 0;
  }

  /** For people. */
  label(number: number): string {
    return this.names[number] || formatIpv4(this.dips[number]);
  }

  private add(dip: number, name: string, place: Place, weight: number, pool: string): number {
    const number = this.dips.length;
    this.dips.push(dip);
    this.names.push(name);
    this.places.push(place);
    this.weights.push(weight);
    this.pools.push(pool);
    this.numbers.add(dip, number);
    return number;
  }
}

/** Corrections by number, 1 where nothing is known. */
export function correctionsOf(fleet: Fleet, state: Pick<PlannerState, 'corrections'>): Float64Array {
  return Float64Array.from(fleet.names, (name) => state.corrections.get(name) ?? 1);
}

function placeOf({ standing, weight, pool }: PlannedServer, { pools }: BalanceSettings): Place {
  if (standing === 'gone') return Place.Gone;
  if (standing === 'down') return Place.Fails;
  const poolWeight = Object.hasOwn(pools, pool) ? pools[pool] : 0;
  return standing === 'in' && weight > 0 && poolWeight > 0 ? Place.Serves : Place.Leaves;
}

function refuseBad({ name, dip, weight }: PlannedServer, fleet: Fleet): void {
  if (!Number.isInteger(dip) || dip <= 0 || dip > 0xffff_ffff) {
    throw new TableError('bad-address', `server ${name}: ${dip} is no DIP: give an IPv4 address`);
  }
  if (fleet.has(dip)) {
    const other = fleet.label(fleet.numberOf(dip));
    throw new TableError(
      'duplicate-server',
      `servers ${other} and ${name} have the same DIP ${formatIpv4(dip)}: give each its own`,
    );
  }
  if (!(weight >= 0 && Number.isFinite(weight))) {
    throw new TableError('bad-weight', `server ${name} has weight ${weight}: give a number from 0`);
  }
}
