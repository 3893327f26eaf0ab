import { stringify } from 'yaml';
import type { TrafficsetKind } from '../table/trafficset.js';
import { dipOf, serverName, UNDERLAY_PREFIXES, VIP_PREFIXES } from './addresses.js';
import { SERVER_MTU } from './network.js';

/** How the nodes of a data center run. */
export interface NodeSettings {
  /** What a server does without its node: nothing (closed), or everything itself (open). */
  readonly failureMode: 'closed' | 'open';
  /** Data-plane threads of each node. */
  readonly workers: number;
  /** `node.tun.offload` */
  readonly offload: 'auto' | 'off';
}

export const DEFAULT_NODE_SETTINGS: NodeSettings = { failureMode: 'closed', workers: 1, offload: 'off' };

/** A trafficset of the data center, as cluster.yaml has it; its table file follows from its name. */
export interface TrafficsetSpec {
  readonly name: string;
  readonly kind: TrafficsetKind;
  readonly protocols?: readonly string[];
  /** Default: all VIPs of both families. */
  readonly vips?: readonly string[];
  /** Single ports or ranges (`8000-8999`); default: all. */
  readonly ports?: readonly (number | string)[];
  /** A name, or an object with options. Default `four-tuple`. */
  readonly dissector?: string | Readonly<Record<string, unknown>>;
  /** File of the session keys; `{name}` stands for the server's name. */
  readonly sessions?: string;
  readonly fragments?: 'follow' | 'drop';
}

/**
 * Relative to cluster.yaml.
 * @param generation of the configuration: each has files of its own
 */
export const tableFile = (trafficset: string, generation: number): string =>
  `tables/${trafficset}${generation === 0 ? '' : `.${generation}`}.table`;

/** Where a node answers for /metrics and /healthz; a path, so that it is reached from every network namespace. */
export const adminSocket = (name: string): string => `/run/twohop/${name}.sock`;

/** The cluster.yaml of a data center. */
export function clusterFile({
  servers,
  nodes: { failureMode, workers, offload },
  trafficsets,
  generation,
}: {
  /** Their number. */
  readonly servers: number;
  readonly nodes: NodeSettings;
  readonly trafficsets: readonly TrafficsetSpec[];
  readonly generation: number;
}): string {
  const numbers = Array.from({ length: servers }, (_, index) => index + 1);
  return stringify({
    underlay: { prefixes: [UNDERLAY_PREFIXES[4]], port: 6080, mtu: SERVER_MTU },
    servers: numbers.map((server) => ({ name: serverName(server), dip: dipOf(server) })),
    trafficsets: trafficsets.map((trafficset) => ({
      vips: [VIP_PREFIXES[4], VIP_PREFIXES[6]],
      dissector: 'four-tuple',
      ...trafficset,
      table: tableFile(trafficset.name, generation),
    })),
    node: {
      interface: 'eth0',
      tun: { name: 'lb0', mtu: SERVER_MTU, offload },
      workers,
      // With tc, nothing but the node can deliver: when it is gone, the server is silent. Policy routing falls back
      // to local delivery, which is what failing open means.
      steering: failureMode === 'open' ? 'policy' : 'tc',
      failure_mode: failureMode,
      admin: ['{dip}:9090', `unix:${adminSocket('{name}')}`],
      log_level: 'info',
    },
  });
}
