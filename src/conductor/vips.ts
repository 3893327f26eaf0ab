import type { Store } from '../store/store.js';
import { editVips, readVips, type VipEditResult } from '../store/vips.js';
import { type Prefix, parseIpv4, parsePrefix } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { VipMatcher } from '../table/vip-matcher.js';
import { NOT_VIP } from '../table/vip-services.js';
import { ControlError, readServers } from './servers.js';

/** VIP ranges that come and go at run time: checked against everything else, and put into the store. */

/**
 * @throws ControlError when a range would cover a DIP or contradict another trafficset; TableError when one is no range
 * @throws StoreError
 */
export async function addVips(
  store: Store,
  cluster: ClusterConfig,
  trafficset: string,
  ranges: readonly string[],
): Promise<VipEditResult> {
  checkTrafficset(cluster, trafficset);
  const added = ranges.map(parsePrefix);
  const all = await withStored(store, cluster);
  const next = all.map((one) => (one.name === trafficset ? { ...one, vips: [...one.vips, ...added] } : one));
  let matcher: VipMatcher;
  try {
    matcher = VipMatcher.build(next);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new ControlError(error.message, { cause: error });
  }
  const { servers } = await readServers(store);
  const dips = new Map([
    ...cluster.servers.map(({ name, dip }) => [dip, name] as const),
    ...servers.map(({ name, dip }) => [parseIpv4(dip), name] as const),
  ]);
  for (const [dip, server] of dips) {
    if (matcher.match4(dip, 0, -1) === NOT_VIP) continue;
    const range = added.find((prefix) => prefix.contains4(dip));
    if (range === undefined) continue;
    throw new ControlError(`${range} covers the DIP of server ${server}: VIPs and DIPs must not overlap`);
  }
  return editVips(store, trafficset, { add: ranges });
}

/** @throws ControlError; TableError when one is no range; StoreError */
export async function removeVips(
  store: Store,
  cluster: ClusterConfig | null,
  trafficset: string,
  ranges: readonly string[],
): Promise<VipEditResult> {
  if (cluster !== null) {
    const fixed = checkTrafficset(cluster, trafficset);
    const written = new Set(fixed.map(String));
    const stays = ranges.find((range) => written.has(parsePrefix(range).toString()));
    if (stays !== undefined) {
      throw new ControlError(
        `${stays} is a range of cluster.yaml: take it out there, and send the nodes SIGHUP`,
      );
    }
  }
  return editVips(store, trafficset, { remove: ranges });
}

/** Ranges of cluster.yaml. */
function checkTrafficset(cluster: ClusterConfig, trafficset: string): readonly Prefix[] {
  const found = cluster.trafficsets.find(({ name }) => name === trafficset);
  if (found !== undefined) return found.vips;
  const names = cluster.trafficsets.map(({ name }) => name).join(', ');
  throw new ControlError(`there is no trafficset ${trafficset}: there are ${names}`);
}

/** Trafficsets with all their ranges. */
async function withStored(store: Store, { trafficsets }: ClusterConfig) {
  return Promise.all(
    trafficsets.map(async (trafficset) => {
      const { ranges } = await readVips(store, trafficset.name);
      return { ...trafficset, vips: [...trafficset.vips, ...ranges.map(parsePrefix)] };
    }),
  );
}
