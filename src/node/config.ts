import { hostname } from 'node:os';
import { z } from 'zod';
import { type AdminAddress, parseAdminAddress } from '../admin/server.js';
import { formatIpv4, type Prefix, parsePrefix } from '../table/address.js';
import { type ClusterConfig, clusterShape, finishCluster } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { type ProblemReport, readYaml, strictShape } from '../table/yaml.js';
import { type CpuSource, parseCpuSource } from './cpu.js';
import { MAX_STEERED_PREFIXES } from './network-setup.js';
import { type BirdConfig, birdShape } from './routes/bird-config.js';

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
  readonly tun: {
    readonly name: string;
    readonly mtu: number;
    readonly offload: 'auto' | 'off';
    readonly batch: 'auto' | 'off';
  };
  readonly workers: number;
  readonly steering: 'tc' | 'policy';
  readonly failureMode: 'closed' | 'open';
  /** What is steered into the TUN; the VIPs, or prefixes that cover them. */
  readonly steer: readonly Prefix[];
  readonly localRoutes: boolean;
  readonly stickyReplies: boolean;
  /** SYNs per second that are let into the TUN; null: all. */
  readonly synRate: number | null;
  readonly admin: readonly AdminAddress[];
  readonly sender: 'mmsg' | 'raw-socket';
  readonly logLevel: string;
  /** Whose CPU is reported as the server's. */
  readonly cpu: CpuSource;
  /** How the server's routes are announced; null: they are not. */
  readonly routes: BirdConfig | null;
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
    offload: z.enum(['auto', 'off']).default('off'),
    batch: z.enum(['auto', 'off']).default('auto'),
  }).prefault({}),
  workers: z.int().min(1).max(64).default(1),
  steering: z.enum(['tc', 'policy']).default('tc'),
  failure_mode: z.enum(['closed', 'open']).default('closed'),
  steer: z.array(z.string()).optional(),
  local_routes: z.boolean().default(true),
  sticky_replies: z.enum(['auto', 'on', 'off']).default('auto'),
  syn_rate: z.union([z.int().min(100).max(10_000_000), z.literal('off')]).default(20_000),
  // At least one: it is also what keeps a second node from starting beside the first.
  admin: z.array(z.string()).min(1).default(['127.0.0.1:9090']),
  sender: z.enum(['mmsg', 'raw-socket']).default('mmsg'),
  log_level: z.enum(LOG_LEVELS).default('info'),
  /** `machine`, `cgroup:/PATH` ({name} is the server's), `none`. */
  cpu: z.string().default('machine'),
  routes: strictShape({ bird: birdShape.optional() }).prefault({}),
}).prefault({});

const fileShape = strictShape({ ...clusterShape, node: nodeShape });

/**
 * @param as name of the server this is; the host name when not given
 * @param address DIP of a server that is not among those of the file: one that was added later
 * @throws ConfigError with every problem found
 */
export function loadNodeConfig(file: string, as: string = hostname(), address?: number): NodeConfig {
  return readYaml(file, fileShape, (sections, report) => {
    const { node, ...fleet } = sections;
    const cluster = finishCluster(fleet, file, report);
    const dipNumber = ownDip(cluster, as, address, report);
    const name = as;
    const dip = formatIpv4(dipNumber);
    const cpu = parseCpuSource(node.cpu.replaceAll('{name}', name));
    if (cpu === undefined) {
      const expected = 'expected machine, cgroup:/PATH or none';
      report.at(['node', 'cpu'], `${expected}, got ${JSON.stringify(node.cpu)}`);
    }
    if (node.failure_mode === 'open' && node.steering !== 'policy') {
      report.at(
        ['node', 'failure_mode'],
        'open needs steering: policy, where the kernel falls back to local delivery when the TUN goes; ' +
          'tc filters keep redirecting to the device that is gone',
      );
    }
    return {
      ...cluster,
      trafficsets: cluster.trafficsets.map((trafficset) => ({
        ...trafficset,
        table: trafficset.table.replaceAll('{name}', name),
      })),
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
      synRate: node.syn_rate === 'off' ? null : node.syn_rate,
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
      cpu: cpu ?? { kind: 'none' },
      routes: node.routes.bird ?? null,
    };
  });
}

/** The DIP of this server; 0 when something is wrong with it. */
function ownDip(
  { servers, underlay, control }: ClusterConfig,
  as: string,
  address: number | undefined,
  report: ProblemReport,
): number {
  const server = servers.find((candidate) => candidate.name === as);
  if (server !== undefined) {
    if (address === undefined || address === server.dip) return server.dip;
    report.at(
      ['servers'],
      `${as} has the DIP ${formatIpv4(server.dip)}, not ${formatIpv4(address)}: leave out --dip`,
    );
    return 0;
  }
  const names = servers.map((candidate) => candidate.name).join(', ');
  if (address === undefined) {
    const elsewhere =
      control.store === null
        ? ''
        : '; one that was added with "twohop server add" gets its DIP from the store, or by --dip';
    report.at(
      ['servers'],
      `there is no server named ${as}; name one of them with --as: ${names}${elsewhere}`,
    );
    return 0;
  }
  const other = servers.find(({ dip }) => dip === address);
  if (other !== undefined) {
    report.at(['servers'], `${formatIpv4(address)}, given by --dip, is the DIP of ${other.name}`);
  }
  if (!underlay.prefixes.some((prefix) => prefix.contains4(address))) {
    report.at(
      ['underlay', 'prefixes'],
      `${formatIpv4(address)}, given by --dip, lies in none of them (${underlay.prefixes.join(', ')}): ` +
        'other servers would refuse its packets',
    );
  }
  return address;
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

/** Settings that cannot change while the node runs, and do differ. */
export function fixedDifferences(a: NodeConfig, b: NodeConfig): string[] {
  const fixed = [
    'name',
    'dip',
    'interface',
    'tun',
    'workers',
    'steering',
    'failureMode',
    'synRate',
    'admin',
    'sender',
    'cpu',
    'routes',
  ] as const;
  const changed: string[] = fixed.filter((field) => !sameText(a[field], b[field]));
  if (a.underlay.port !== b.underlay.port) changed.push('underlay.port');
  if (a.underlay.mtu !== b.underlay.mtu) changed.push('underlay.mtu');
  if (a.control.store !== b.control.store) changed.push('store');
  return changed;
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
