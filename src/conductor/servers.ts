import { decodeRecord, encodeRecord, Keys, type ServerRecord, serverRecord } from '../store/records.js';
import type { Store } from '../store/store.js';
import { readVips, trafficsetsWithVips } from '../store/vips.js';
import { formatIpv4, parseIpv4, parsePrefix } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { NAME_PATTERN } from '../table/forwarding-table.js';
import { VipMatcher } from '../table/vip-matcher.js';
import { NOT_VIP } from '../table/vip-services.js';
import { balanceOf } from './settings.js';

/** What the operator wants of servers: checked, and put into the store. */

/** A change that is refused; the message says what to do. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

export interface KnownServer extends ServerRecord {
  readonly name: string;
  /** Of its record. */
  readonly revision: number;
}

/** All readable servers of the store, by name; and names of those that cannot be read. @throws StoreError */
export async function readServers(store: Store): Promise<{ servers: KnownServer[]; damaged: string[] }> {
  const { entries } = await store.list(Keys.servers);
  const servers: KnownServer[] = [];
  const damaged: string[] = [];
  for (const { key, value, revision } of entries) {
    const name = key.slice(Keys.servers.length);
    const record = decodeRecord(serverRecord, value);
    if (record === null) damaged.push(name);
    else servers.push({ name, revision, ...record });
  }
  return { servers, damaged };
}

export type ServerChange =
  | { readonly type: 'add'; readonly dip: string; readonly weight: number; readonly pool: string }
  | { readonly type: 'set'; readonly weight?: number; readonly pool?: string }
  | { readonly type: 'drain' }
  | { readonly type: 'activate' }
  | { readonly type: 'remove' };

export interface ChangeOptions {
  /** What addresses and pools are checked against; null: they are not, as far as the change allows that. */
  readonly cluster: ClusterConfig | null;
  /** Do it even where it leaves a trafficset without servers. */
  readonly force: boolean;
}

export interface ChangeResult {
  /** false: there was nothing to change. */
  readonly changed: boolean;
  /** Of the store, which tables have to follow: when the server was changed, now or before. */
  readonly revision: number;
  /** null: it was removed. */
  readonly record: ServerRecord | null;
  /** What a person should know. */
  readonly warnings: readonly string[];
}

/**
 * @throws ControlError when the change is impossible, or would leave a trafficset without servers
 * @throws StoreError
 */
export async function changeServer(
  store: Store,
  name: string,
  change: ServerChange,
  options: ChangeOptions,
): Promise<ChangeResult> {
  if (!NAME_PATTERN.test(name)) {
    throw new ControlError(`${JSON.stringify(name)} is no name of a server: use 1 to 64 of a-z, 0-9 and "-"`);
  }
  for (;;) {
    const { servers, damaged } = await readServers(store);
    const before = servers.find((server) => server.name === name) ?? null;
    if (change.type === 'remove' && damaged.includes(name)) return removeDamaged(store, name);
    const record = changed(name, before, change, servers, options);
    if (change.type === 'add') await refuseStoredVip(store, change.dip);
    const after = servers.filter((server) => server.name !== name);
    if (record !== null) after.push({ name, revision: 0, ...record });
    const warnings = refuseNobody(servers, after, `${change.type} ${name}`, options);
    if (before !== null && record !== null && JSON.stringify(recordOf(before)) === JSON.stringify(record)) {
      return { changed: false, revision: before.revision, record, warnings };
    }
    const key = Keys.server(name);
    const result = await store.transact({
      compare: [{ key, revision: before?.revision ?? 0 }],
      ...(record === null ? { deletes: [key] } : { puts: [{ key, value: encodeRecord(record) }] }),
    });
    // Otherwise somebody else changed it meanwhile: once more, from what it is now.
    if (result.done) return { changed: true, revision: result.revision, record, warnings };
  }
}

async function removeDamaged(store: Store, name: string): Promise<ChangeResult> {
  const { revision } = await store.transact({ deletes: [Keys.server(name)] });
  return { changed: true, revision, record: null, warnings: [`the record of ${name} could not be read`] };
}

/** @returns null when it is to be removed */
function changed(
  name: string,
  before: KnownServer | null,
  change: ServerChange,
  servers: readonly KnownServer[],
  options: ChangeOptions,
): ServerRecord | null {
  if (change.type === 'add') {
    if (before !== null) {
      throw new ControlError(
        `there is a server ${name} already (${before.dip}): change it with twohop server set`,
      );
    }
    const { dip, weight, pool } = change;
    checkDip(dip, servers, options.cluster);
    checkWeight(weight);
    checkPool(pool, options.cluster);
    return { dip, weight, pool, state: 'active' };
  }
  if (before === null) {
    const names = servers.map((server) => server.name).join(', ') || 'none';
    throw new ControlError(`there is no server ${name}: there are ${names}`);
  }
  switch (change.type) {
    case 'remove':
      return null;
    case 'drain':
      return { ...recordOf(before), state: 'drained' };
    case 'activate':
      return { ...recordOf(before), state: 'active' };
    case 'set': {
      const { weight = before.weight, pool = before.pool } = change;
      checkWeight(weight);
      checkPool(pool, options.cluster);
      return { ...recordOf(before), weight, pool };
    }
  }
}

function recordOf({ dip, weight, pool, state }: ServerRecord): ServerRecord {
  return { dip, weight, pool, state };
}

function checkWeight(weight: number): void {
  if (weight >= 0 && weight <= 1_000_000) return;
  throw new ControlError(`weight ${weight} is not possible: give a number from 0 to 1000000`);
}

function checkPool(pool: string, cluster: ClusterConfig | null): void {
  if (!NAME_PATTERN.test(pool)) {
    throw new ControlError(`${JSON.stringify(pool)} is no name of a pool: use 1 to 64 of a-z, 0-9 and "-"`);
  }
  if (cluster === null) return;
  const pools = [
    ...new Set(cluster.trafficsets.flatMap((trafficset) => Object.keys(balanceOf(trafficset).pools))),
  ];
  if (pools.includes(pool)) return;
  throw new ControlError(`no trafficset has a pool ${pool}: there are ${pools.join(', ')}`);
}

/** @throws ControlError; TableError when it is no address */
function checkDip(text: string, servers: readonly KnownServer[], cluster: ClusterConfig | null): void {
  const dip = parseIpv4(text);
  if (dip === 0) throw new ControlError('0.0.0.0 is no address of a server');
  const other = servers.find((server) => parseIpv4(server.dip) === dip);
  if (other !== undefined) throw new ControlError(`${text} is the DIP of server ${other.name} already`);
  if (cluster === null) return;
  const { prefixes } = cluster.underlay;
  if (!prefixes.some((prefix) => prefix.contains4(dip))) {
    throw new ControlError(
      `${formatIpv4(dip)} lies in none of underlay.prefixes (${prefixes.join(', ')}): other servers would refuse its packets`,
    );
  }
  if (VipMatcher.build(cluster.trafficsets).match4(dip, 0, -1) !== NOT_VIP) {
    throw new ControlError(`${formatIpv4(dip)} is a VIP: VIPs and DIPs must not overlap`);
  }
}

/** Ranges that came at run time count like those of cluster.yaml. @throws ControlError; StoreError */
async function refuseStoredVip(store: Store, dip: string): Promise<void> {
  for (const trafficset of await trafficsetsWithVips(store)) {
    const { ranges } = await readVips(store, trafficset);
    const range = ranges.find((one) => parsePrefix(one).contains4(parseIpv4(dip)));
    if (range === undefined) continue;
    throw new ControlError(
      `${dip} lies in ${range}, a VIP range of trafficset ${trafficset}: VIPs and DIPs must not overlap`,
    );
  }
}

/** @returns what to warn of, when it is forced */
function refuseNobody(
  before: readonly KnownServer[],
  after: readonly KnownServer[],
  what: string,
  { cluster, force }: ChangeOptions,
): string[] {
  const serves = (servers: readonly KnownServer[], pools: Readonly<Record<string, number>> | null) =>
    servers.some(
      ({ state, weight, pool }) =>
        state === 'active' &&
        weight > 0 &&
        (pools === null || (Object.hasOwn(pools, pool) && pools[pool] > 0)),
    );
  const sets =
    cluster === null
      ? [{ label: 'every trafficset', pools: null }]
      : cluster.trafficsets.map((trafficset) => ({
          label: `trafficset ${trafficset.name}`,
          pools: balanceOf(trafficset).pools,
        }));
  const left = sets.filter(({ pools }) => serves(before, pools) && !serves(after, pools));
  if (left.length === 0) return [];
  const consequence =
    `${what} leaves ${left.map(({ label }) => label).join(' and ')} without a server for new flows: ` +
    'the last table stays as it is, so that new flows still go where they went, whether anybody is there or not';
  if (force) return [consequence];
  throw new ControlError(`${consequence}. Add or activate another server first, or use --force`);
}
