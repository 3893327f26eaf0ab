import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { type Prefix, parseIpv4 } from './address.js';
import { TableError } from './errors.js';
import { NAME_PATTERN } from './forwarding-table.js';
import { type ConfigPath, type ProblemReport, strictShape } from './yaml.js';

/**
 * The sections of cluster.yaml that concern the control plane: the store, the conductor, monitors and their groups, and
 * how a trafficset is balanced. All have defaults; a fleet without a `store` follows table files as before.
 */

const name = z.string().regex(NAME_PATTERN, { error: 'expected 1 to 64 of a-z, 0-9 and "-"' });
const seconds = (least: number, most: number) => z.number().min(least).max(most);

/** `file:/PATH`, or `etcd:http://HOST:PORT[,http://HOST:PORT...]/PREFIX` (see `store/open.ts`). */
export const storeShape = z
  .string()
  .regex(/^(file:|etcd:)./, { error: 'expected file:/PATH or etcd:http://HOST:PORT/PREFIX' });

const monitorCommon = {
  name,
  /** Between two checks. */
  interval_seconds: seconds(0.1, 3600).default(5),
  timeout_seconds: seconds(0.05, 60).default(2),
  /** Successes in a row that make it up, failures in a row that make it down. */
  rise: z.int().min(1).max(100).default(2),
  fall: z.int().min(1).max(100).default(3),
};

const port = z.int().min(1).max(65535);

/** Checks are made at the server's DIP, except `gue`, which goes to a VIP through the tunnel. */
export const monitorShape = z.discriminatedUnion('type', [
  strictShape({
    ...monitorCommon,
    type: z.literal('http'),
    port: port.default(80),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, { error: 'expected a path like /health, without spaces' })
      .default('/'),
    /** Value of the Host header. */
    host: z
      .string()
      .regex(/^[\x21-\x7e]+$/, { error: 'expected a host name like example.com' })
      .optional(),
    /** Status codes that mean up; default 200 to 299. */
    expect: z.array(z.int().min(100).max(599)).min(1).optional(),
  }),
  strictShape({ ...monitorCommon, type: z.literal('tcp'), port }),
  /** An ICMP echo request to the (IPv4) VIP, wrapped for the server; its kernel's reply comes straight back. */
  strictShape({ ...monitorCommon, type: z.literal('gue'), vip: z.string().min(1) }),
  /** A command; `{name}` and `{dip}` in its arguments stand for the server. Exit code 0 means up. */
  strictShape({ ...monitorCommon, type: z.literal('script'), command: z.array(z.string().min(1)).min(1) }),
]);
export type MonitorConfig = z.output<typeof monitorShape>;

export const monitorGroupShape = strictShape({
  name,
  members: z
    .array(
      strictShape({
        monitor: name,
        enabled: z.boolean().default(true),
        monitoring_only: z.boolean().default(false),
        must_be_healthy: z.boolean().default(false),
      }),
    )
    .min(1)
    .max(5),
});
export type MonitorGroupConfig = z.output<typeof monitorGroupShape>;

export const conductorShape = strictShape({
  /** Time after which a standby takes over from a conductor that says nothing any more. */
  lease_seconds: seconds(1, 60).default(2),
  /** Directory for a copy of the last state, to give it back to a store that lost its data; `{name}` is the conductor. */
  state: z.string().min(1).optional(),
  admin: z.array(z.string()).default([]),
  /** Group of monitors that says whether a node is there at all; default: its presence in the store. */
  node_health: name.optional(),
  /** Nodes that check each server; all others when there are fewer. */
  vantages: z.int().min(1).max(100).default(3),
  /** A change of health is acted upon when it has lasted this long. */
  settle_seconds: seconds(0, 600).default(2),
  /** A node that the store has not heard of for this long is down. */
  node_absence_seconds: seconds(0, 3600).default(3),
  /** More than this share of the servers unhealthy at once is a problem of the data center, not of servers. */
  wide_problem: z.number().gt(0).max(1).default(0.5),
  /** It is over when no more than this share has been unhealthy for `settle_seconds`. */
  wide_problem_over: z.number().min(0).max(1).default(0.3),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});
export type ConductorConfig = z.output<typeof conductorShape>;

export const balanceShape = strictShape({
  buckets: z
    .int()
    .min(1)
    .max(1 << 24)
    .default(4096),
  /** Monitor group of the service; default: only node health counts. */
  health: name.optional(),
  pools: z.record(name, z.number().min(0).max(1_000_000)).default({ default: 1 }),
  /** Where load comes from: what nodes report, Prometheus, or nowhere (shares by weight alone). */
  load: z
    .union([
      z.enum(['reports', 'none']),
      strictShape({
        prometheus: z.url(),
        /** Its result has one sample per server, with the server's name in the label `server`. */
        expression: z.string().min(1),
      }),
    ])
    .default('reports'),
  /** Between two balance steps; a sample older than two of them is stale. */
  interval_seconds: seconds(0.2, 3600).default(60),
  max_change_per_minute: z.number().gt(0).max(1).default(0.25),
  min_second_hop_age_seconds: seconds(0, 10_000_000).default(3600),
  // A higher gain and a narrower dead band follow the noise of the samples: see native-notes/simulation.md.
  gain: z.number().gt(0).max(1).default(0.3),
  dead_band: z.number().min(0).max(0.5).default(0.03),
  /** Fill the second hops of a new TCP table, so that the first moves can be swaps already. */
  second_hops: z.boolean().default(false),
});
export type BalanceConfig = z.output<typeof balanceShape>;

/** The sections of the control plane. */
export interface ControlConfig {
  /** Address of the store; null: tables are files that somebody else writes. */
  readonly store: string | null;
  readonly conductor: ConductorConfig;
  readonly monitors: readonly MonitorConfig[];
  readonly groups: readonly MonitorGroupConfig[];
}

/** What a file without any of these sections has. */
export const NO_CONTROL: ControlConfig = {
  store: null,
  conductor: conductorShape.parse({}),
  monitors: [],
  groups: [],
};

/** What {@link checkControl} looks at. */
interface ControlSections {
  readonly conductor: ConductorConfig;
  readonly monitors: readonly MonitorConfig[];
  readonly monitor_groups: readonly MonitorGroupConfig[];
  readonly trafficsets: readonly { readonly balance: BalanceConfig }[];
}

/**
 * Reports names that are given twice, names of monitors and groups that do not exist, and monitors that cannot work.
 * @param vips of all trafficsets
 */
export function checkControl(
  sections: ControlSections,
  vips: readonly Prefix[],
  report: ProblemReport,
): void {
  const { monitors, monitor_groups: groups, trafficsets, conductor } = sections;
  refuseTwice(monitors, 'monitors', report);
  refuseTwice(groups, 'monitor_groups', report);
  for (const [index, monitor] of monitors.entries()) {
    if (monitor.type === 'gue') checkGueVip(monitor.vip, vips, ['monitors', index, 'vip'], report);
  }
  const known = (
    names: readonly { readonly name: string }[],
    name: string,
    what: string,
    path: ConfigPath,
  ) => {
    if (names.some((one) => one.name === name)) return;
    const there = names.map((one) => one.name).join(', ') || 'none';
    report.at(path, `there is no ${what} ${name}: there are ${there}`);
  };
  for (const [index, group] of groups.entries()) {
    for (const [at, { monitor }] of group.members.entries()) {
      const path = ['monitor_groups', index, 'members', at, 'monitor'];
      known(monitors, monitor, 'monitor', path);
      const earlier = group.members.findIndex((member) => member.monitor === monitor);
      if (earlier < at) report.at(path, `${monitor} is member ${earlier} already: it would vote twice`);
    }
    if (!group.members.some((member) => member.enabled && !member.monitoring_only)) {
      report.at(
        ['monitor_groups', index],
        'has no active member: one must be enabled and not monitoring_only',
      );
    }
  }
  for (const [index, { balance }] of trafficsets.entries()) {
    if (balance.health !== undefined) {
      known(groups, balance.health, 'monitor group', ['trafficsets', index, 'balance', 'health']);
    }
  }
  if (conductor.node_health !== undefined) {
    known(groups, conductor.node_health, 'monitor group', ['conductor', 'node_health']);
  }
  if (conductor.wide_problem_over > conductor.wide_problem) {
    report.at(['conductor', 'wide_problem_over'], 'expected no more than wide_problem');
  }
}

function checkGueVip(text: string, vips: readonly Prefix[], path: ConfigPath, report: ProblemReport): void {
  if (isIPv6(text)) {
    report.at(
      path,
      `${text} is an IPv6 address: checks through the tunnel need an IPv4 VIP, because the underlay is IPv4 and the reply has no other address to come back to`,
    );
    return;
  }
  try {
    const address = parseIpv4(text);
    if (vips.some((prefix) => prefix.contains4(address))) return;
    report.at(path, `${text} lies in no trafficset's vips: servers would drop what is wrapped for it`);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    report.at(path, error.message);
  }
}

function refuseTwice(
  named: readonly { readonly name: string }[],
  section: string,
  report: ProblemReport,
): void {
  for (const [index, { name }] of named.entries()) {
    const earlier = named.findIndex((one) => one.name === name);
    if (earlier < index)
      report.at([section, index, 'name'], `${name} is also the name of ${section}[${earlier}]`);
  }
}
