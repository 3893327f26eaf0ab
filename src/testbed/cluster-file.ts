import { stringify } from 'yaml';
import { dipOf, SERVICE_PORTS, serverName, UNDERLAY_PREFIXES, VIP_PREFIXES } from './addresses.js';
import { SERVER_MTU } from './network.js';

export type FailureMode = 'closed' | 'open';

export const TRAFFICSET = 'web';
export const TABLE_FILE = 'tables/web.table';

/** Where a node answers for /metrics and /healthz; a path, so that it is reached from every network namespace. */
export const adminSocket = (name: string): string => `/run/twohop/${name}.sock`;

/** The cluster.yaml of a data center with this many servers. */
export function clusterFile(servers: number, failureMode: FailureMode): string {
  const numbers = Array.from({ length: servers }, (_, index) => index + 1);
  return stringify({
    underlay: { prefixes: [UNDERLAY_PREFIXES[4]], port: 6080, mtu: SERVER_MTU },
    servers: numbers.map((server) => ({ name: serverName(server), dip: dipOf(server) })),
    trafficsets: [
      {
        name: TRAFFICSET,
        kind: 'tcp',
        vips: [VIP_PREFIXES[4], VIP_PREFIXES[6]],
        ports: [...SERVICE_PORTS],
        dissector: 'four-tuple',
        table: TABLE_FILE,
      },
    ],
    node: {
      interface: 'eth0',
      tun: { name: 'lb0', mtu: SERVER_MTU },
      workers: 1,
      // With tc, nothing but the node can deliver: when it is gone, the server is silent. Policy routing falls back
      // to local delivery, which is what failing open means.
      steering: failureMode === 'open' ? 'policy' : 'tc',
      failure_mode: failureMode,
      admin: ['{dip}:9090', `unix:${adminSocket('{name}')}`],
      log_level: 'info',
    },
  });
}
