import { hostname } from 'node:os';
import { z } from 'zod';
import { type AdminAddress, parseAdminAddress } from '../admin/server.js';
import { formatIpv4, type Prefix, parsePrefix } from '../table/address.js';
import { type ClusterConfig, clusterShape, finishCluster } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { type ProblemReport, readYaml, strictShape } from '../table/yaml.js';
import { MAX_STEERED_PREFIXES } from './network-setup.js';

/**
 * A node's configuration: the fleet's part of cluster.yaml, and the `node` section, which is the same for all servers
 * but for `{name}` and `{dip}`, which stand for the server's own.
 */

export interface NodeConfig extends ClusterConfig {
  readonly name: string;
  /** DIP as text and as a number. */
  readonly dip: string;
  readonly dipNumber: number;
  /** Where packets for the VIPs arrive. */
  readonly interface: string;
  readonly tun: { readonly name: string; readonly mtu: number };
  readonly workers: number;
  readonly steering: 'tc' | 'policy';
  readonly failureMode: 'closed' | 'open';
  /** What is steered into the TUN; the VIPs, or prefixes that cover them. */
  readonly steer: readonly Prefix[];
  readonly localRoutes: boolean;
  readonly stickyReplies: boolean;
  readonly admin: readonly AdminAddress[];
  readonly sender: 'mmsg' | 'raw-socket';
  readonly logLevel: string;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** Longest name of a network interface (IFNAMSIZ without the terminating zero). */
const DEVICE_NAME = z
  .string()
  .regex(/^[^\s/]{1,15}$/, { error: 'expected a device name of 1 to 15 characters' });

const nodeShape = strictShape({
  interface: DEVICE_NAME.default('eth0'),
  tun: strictShape({
    name: DEVICE_NAME.default('lb0'),
    mtu: z.int().min(1280).max(65535).default(9000),
  }).prefault({}),
  workers: z.int().min(1).max(64).default(1),
  steering: z.enum(['tc', 'policy']).default('tc'),
  failure_mode: z.enum(['closed', 'open']).default('closed'),
  steer: z.array(z.string()).optional(),
  local_routes: z.boolean().default(true),
  sticky_replies: z.enum(['auto', 'on', 'off']).default('auto'),
  // At least one: it is also what keeps a second node from starting beside the first.
  admin: z.array(z.string()).min(1).default(['127.0.0.1:9090']),
  sender: z.enum(['mmsg', 'raw-socket']).default('mmsg'),
  log_level: z.enum(LOG_LEVELS).default('info'),
}).prefault({});

const fileShape = strictShape({ ...clusterShape, node: nodeShape });

/**
 * @param as name of the server this is; the host name when not given
 * @throws ConfigError with every problem found
 */
export function loadNodeConfig(file: string, as: string = hostname()): NodeConfig {
  return readYaml(file, fileShape, (sections, report) => {
    const { node, ...fleet } = sections;
    const cluster = finishCluster(fleet, file, report);
    const server = cluster.servers.find((candidate) => candidate.name === as);
    if (server === undefined) {
      const names = cluster.servers.map((candidate) => candidate.name).join(', ');
      report.at(['servers'], `there is no server named ${as}; name one of them with --as: ${names}`);
    }
    const name = server?.name ?? as;
    const dipNumber = server?.dip ?? 0;
    const dip = formatIpv4(dipNumber);
    if (node.failure_mode === 'open' && node.steering !== 'policy') {
      report.at(
        ['node', 'failure_mode'],
        'open needs steering: policy, where the kernel falls back to local delivery when the TUN goes; ' +
          'tc filters keep redirecting to the device that is gone',
      );
    }
    return {
      ...cluster,
      name,
      dip,
      dipNumber,
      interface: node.interface,
      tun: node.tun,
      workers: node.workers,
      steering: node.steering,
      failureMode: node.failure_mode,
      steer: steeredPrefixes(cluster, node.steer, report),
      localRoutes: node.local_routes,
      stickyReplies:
        node.sticky_replies === 'on' ||
        (node.sticky_replies === 'auto' &&
          cluster.trafficsets.some((trafficset) => trafficset.kind !== 'tcp')),
      admin: node.admin.map((text, index) => {
        const address = parseAdminAddress(text.replaceAll('{name}', name).replaceAll('{dip}', dip));
        if (address !== undefined) return address;
        report.at(
          ['node', 'admin', index],
          `expected HOST:PORT, [V6]:PORT or unix:/PATH, got ${JSON.stringify(text)}`,
        );
        return { kind: 'unix', path: '/dev/null' } as const;
      }),
      sender: node.sender,
      logLevel: node.log_level,
    };
  });
}

/** Without `steer`: the VIPs themselves, each range once. */
function steeredPrefixes(
  cluster: ClusterConfig,
  steer: readonly string[] | undefined,
  report: ProblemReport,
): Prefix[] {
  const prefixes =
    steer === undefined
      ? cluster.trafficsets.flatMap((trafficset) => trafficset.vips)
      : steer.flatMap((text, index) => {
          try {
            return [parsePrefix(text)];
          } catch (error) {
            if (!(error instanceof TableError)) throw error;
            report.at(['node', 'steer', index], error.message);
            return [];
          }
        });
  const distinct = [...new Map(prefixes.map((prefix) => [prefix.toString(), prefix])).values()];
  if (distinct.length > MAX_STEERED_PREFIXES) {
    report.at(
      ['node'],
      `${distinct.length} prefixes would be steered, more than ${MAX_STEERED_PREFIXES}: name a few that cover them in node.steer`,
    );
    return [];
  }
  return distinct;
}
