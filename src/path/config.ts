import { leadingBits } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { compileVips } from '../table/vip-compile.js';
import type { PathConfig } from './state.js';

/**
 * What one server of the fleet judges packets by.
 * @param dip its address, host order
 * @param tableOf the forwarding table of a trafficset by name; null when there is none (yet)
 */
export function pathConfigOf(
  cluster: ClusterConfig,
  dip: number,
  tableOf: (trafficset: string) => ForwardingTable | null,
): PathConfig {
  return {
    dip,
    port: cluster.underlay.port,
    underlayMtu: cluster.underlay.mtu,
    underlayPrefixes: Uint32Array.from(
      cluster.underlay.prefixes.flatMap((prefix) => [prefix.words[0], leadingBits(prefix.length) >>> 0]),
    ),
    vips: compileVips(cluster.trafficsets),
    trafficsets: cluster.trafficsets.map(({ name, kind, dissector }) => ({
      name,
      kind,
      dissector,
      table: tableOf(name)?.shared() ?? null,
    })),
  };
}
