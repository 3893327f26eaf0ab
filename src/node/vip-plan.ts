import type { Prefix } from '../table/address.js';
import { aggregatePrefixes, coverPrefixes, uncoveredPrefixes } from '../table/prefix-set.js';
import { MAX_STEERED_PREFIXES } from './network-setup.js';
import type { VipRoutes } from './vip-network.js';

/**
 * What the network needs for VIPs that came at run time, beside what the configuration has set up.
 * @param configured prefixes that are steered and delivered anyway
 * @param keepOut addresses that must not be steered: of servers, and of the underlay
 * @returns null when no few filters cover them without taking what must be kept out
 */
export function planVips(
  added: readonly Prefix[],
  configured: readonly Prefix[],
  keepOut: readonly Prefix[],
): VipRoutes | null {
  const local = uncoveredPrefixes(aggregatePrefixes(added), aggregatePrefixes(configured));
  const most = MAX_STEERED_PREFIXES - configured.length;
  const steered = local.length <= most ? local : coverPrefixes(local, most, keepOut);
  return steered === null ? null : { steered, local };
}
