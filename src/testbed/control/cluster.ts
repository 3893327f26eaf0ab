import { stringify } from 'yaml';
import {
  CONTROL_ADDRESS,
  dipOf,
  SERVICE_PORTS,
  serverName,
  UNDERLAY_PREFIXES,
  VIP_PREFIXES,
  vip,
} from '../addresses.js';
import { adminSocket, type NodeSettings } from '../cluster-file.js';
import { SERVER_MTU } from '../network.js';

/** The cluster.yaml of a data center that a conductor runs: with short times, so that a person can watch it. */

export const TRAFFICSET = 'web';
export const ETCD_URL = `http://${CONTROL_ADDRESS}:2379`;
export const STORE = `etcd:${ETCD_URL}/twohop`;
export const PROMETHEUS_URL = `http://${CONTROL_ADDRESS}:9095`;
export const METRICS_PORT = 9090;

/** Buckets of the table: more than a hundred per server. */
export const BUCKETS = 1024;

/** All in seconds. */
export const TIMES = {
  lease: 2,
  checkEvery: 0.5,
  checkTimeout: 1,
  // A node that starts again takes processor time from the service beside it: checks fail for three seconds then.
  settle: 5,
  // Longer than a node takes to start again on a busy machine: that a server died, the checks of others tell sooner.
  absence: 10,
  scrapeEvery: 1,
  balanceEvery: 4,
  /** The load that is balanced is the mean over so long. */
  loadOver: 6,
} as const;
/** Checks in a row after which a service counts as down, or up again. */
export const FALL = 2;
export const RISE = 2;

/** Autonomous systems (RFC 6996: for private use) of the router and of the servers. */
export const ROUTER_AS = 65000;
export const SERVER_AS = 65001;
/** Seconds without a word after which the router takes a server for gone: the shortest that BGP allows. */
export const BGP_HOLD_SECONDS = 3;

/** As long as the demonstration: a bucket that has changed is changed again by a swap or by need, and breaks nothing. */
export const SECOND_HOP_AGE_S = 600;

/**
 * @param options.servers the fleet at its beginning
 * @param options.cpuGroup below it lies one control group per server
 */
export function conductedClusterFile(options: {
  readonly servers: readonly number[];
  readonly cpuGroup: string;
  readonly directory: string;
  readonly nodes: NodeSettings;
}): string {
  const { servers, cpuGroup, directory, nodes } = options;
  return stringify({
    underlay: { prefixes: [UNDERLAY_PREFIXES[4]], port: 6080, mtu: SERVER_MTU },
    store: STORE,
    servers: servers.map((server) => ({ name: serverName(server), dip: dipOf(server) })),
    trafficsets: [
      {
        name: TRAFFICSET,
        kind: 'tcp',
        vips: [VIP_PREFIXES[4], VIP_PREFIXES[6]],
        ports: SERVICE_PORTS,
        table: `${directory}/tables/{name}.${TRAFFICSET}.table`,
        balance: {
          buckets: BUCKETS,
          health: 'web-service',
          load: {
            prometheus: PROMETHEUS_URL,
            expression: `rate(twohop_server_cpu_seconds_total[${TIMES.loadOver}s]) / twohop_server_cpu_limit`,
          },
          interval_seconds: TIMES.balanceEvery,
          max_change_per_minute: 1,
          min_second_hop_age_seconds: SECOND_HOP_AGE_S,
          second_hops: true,
        },
      },
    ],
    monitors: [
      {
        name: 'web-http',
        type: 'http',
        port: SERVICE_PORTS[0],
        path: '/health',
        ...checkTimes(),
      },
      { name: 'tunnel', type: 'gue', vip: vip(1, 4), ...checkTimes() },
    ],
    monitor_groups: [
      {
        name: 'web-service',
        members: [
          { monitor: 'web-http', must_be_healthy: true },
          { monitor: 'tunnel', monitoring_only: true },
        ],
      },
    ],
    conductor: {
      lease_seconds: TIMES.lease,
      state: `${directory}/state/{name}`,
      vantages: 2,
      settle_seconds: TIMES.settle,
      node_absence_seconds: TIMES.absence,
    },
    node: {
      interface: 'eth0',
      tun: { name: 'lb0', mtu: SERVER_MTU, offload: nodes.offload },
      workers: nodes.workers,
      steering: 'tc',
      failure_mode: 'closed',
      admin: [`{dip}:${METRICS_PORT}`, `unix:${adminSocket('{name}')}`],
      routes: {
        bird: { local_as: SERVER_AS, neighbor_as: ROUTER_AS, hold_seconds: BGP_HOLD_SECONDS },
      },
      cpu: `cgroup:${cpuGroup}/{name}`,
      log_level: 'info',
    },
  });
}

const checkTimes = () => ({
  interval_seconds: TIMES.checkEvery,
  timeout_seconds: TIMES.checkTimeout,
  rise: RISE,
  fall: FALL,
});
