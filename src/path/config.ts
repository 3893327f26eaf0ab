import { leadingBits } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { fragmentRuleOf, protocolsOf } from '../table/trafficset.js';
import { compileVips } from '../table/vip-compile.js';
import type { SharedSessions } from './session-set.js';
import type { PathConfig } from './state.js';

/**
 * What one server of the fleet judges packets by.
 * @param dip its address, host order
 * @param tableOf the forwarding table of a trafficset by name; null when there is none (yet)
 * @param sessionsOf the sessions of a trafficset by name; null when nobody has said anything (yet)
 */
export function pathConfigOf(
  cluster: ClusterConfig,
  dip: number,
  tableOf: (trafficset: string) => ForwardingTable | null,
  sessionsOf: (trafficset: string) => SharedSessions | null = () => null,
): PathConfig {
  return {
    dip,
    port: cluster.underlay.port,
    underlayMtu: cluster.underlay.mtu,
    underlayPrefixes: Uint32Array.from(
      cluster.underlay.prefixes.flatMap((prefix) => [prefix.words[0], leadingBits(prefix.length) >>> 0]),
    ),
    vips: compileVips(cluster.trafficsets),
    trafficsets: cluster.trafficsets.map((trafficset) => ({
      name: trafficset.name,
      kind: trafficset.kind,
      protocols: protocolsOf(trafficset),
      dissector: trafficset.dissector,
      followsFragments: fragmentRuleOf(trafficset) === 'follow' ? 1 : 0,
      hasSessions: trafficset.sessions !== undefined,
      sessions: sessionsOf(trafficset.name),
      table: tableOf(trafficset.name)?.shared() ?? null,
    })),
    servers: cluster.servers.map(({ name, dip }) => ({ name, dip })),
    icmpCopies: cluster.underlay.icmpCopies,
  };
}
