import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { type DissectorSpec, FOUR_TUPLE_SPEC } from '../flow/dissector.js';
import { createDissector, DissectorError } from '../flow/registry.js';
import { formatIpv4, type Prefix, parseIpv4, parsePrefix } from './address.js';
import {
  balanceShape,
  type ControlConfig,
  checkControl,
  conductorShape,
  monitorGroupShape,
  monitorShape,
  storeShape,
} from './control.js';
import { TableError } from './errors.js';
import { NAME_PATTERN } from './forwarding-table.js';
import {
  ALL_PORTS,
  PROTOCOL_NUMBERS,
  parsePortRange,
  protocolsOf,
  TRAFFICSET_KINDS,
  type TrafficsetConfig,
} from './trafficset.js';
import { NOT_VIP, VipMatcher } from './vip-matcher.js';
import { type ConfigPath, formatPath, type ProblemReport, readText, readYaml, strictShape } from './yaml.js';

/**
 * The part of cluster.yaml that is the same for the whole fleet: the underlay, the servers, the trafficsets.
 */

export interface UnderlayConfig {
  /** GUE is accepted from these (IPv4) source addresses only. */
  readonly prefixes: readonly Prefix[];
  /** UDP port of GUE. */
  readonly port: number;
  /** Largest packet in bytes, outer header included. */
  readonly mtu: number;
  /** Most copies per second that one worker makes of ICMP errors whose quote does not tell the server. */
  readonly icmpCopies: number;
}

export interface ServerConfig {
  readonly name: string;
  /** Host-order IPv4 address. */
  readonly dip: number;
  /** Share of the load relative to other servers of its pool; 0: no new flows. */
  readonly weight: number;
  /** Which of the trafficsets' pools it belongs to. */
  readonly pool: string;
}

export interface ClusterConfig {
  readonly underlay: UnderlayConfig;
  readonly servers: readonly ServerConfig[];
  /** Paths of tables are absolute. */
  readonly trafficsets: readonly TrafficsetConfig[];
  readonly control: ControlConfig;
}

/** GUE's port in Linux and in the drafts. */
const DEFAULT_PORT = 6080;
const DEFAULT_MTU = 1500;
const DEFAULT_POOL = 'default';
/** Where a node keeps its copy of a table that comes from the store, unless it is told. */
const TABLE_COPY = '/var/lib/twohop/{name}';
/** A hundred errors per second in a fleet of a hundred. */
const DEFAULT_ICMP_COPIES = 10_000;

/** Makes a zod type of a function that throws TableError; its message is told as it is. */
function written<T>(expected: string, parse: (text: string) => T) {
  return z.unknown().transform((value, context): T => {
    let message = `expected ${expected}, got ${value === undefined ? 'nothing' : JSON.stringify(value)}`;
    if (typeof value === 'string' || typeof value === 'number') {
      try {
        return parse(String(value));
      } catch (error) {
        if (!(error instanceof TableError)) throw error;
        message = error.message;
      }
    }
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

const name = z.string().regex(NAME_PATTERN, { error: 'expected 1 to 64 of a-z, 0-9 and "-"' });

const dip = written('an IPv4 address like 10.0.1.1', (text) => {
  const address = parseIpv4(text);
  if (address === 0) throw new TableError('bad-address', '0.0.0.0 is no address of a server');
  return address;
});

const prefix = written('a prefix like 192.0.2.0/24 or 2001:db8::/64', parsePrefix);

const ipv4Prefix = written('an IPv4 prefix like 10.0.0.0/16', (text) => {
  const parsed = parsePrefix(text);
  if (parsed.version === 4) return parsed;
  throw new TableError('bad-prefix', `${text} is an IPv6 prefix: the underlay is IPv4`);
});

const portRange = written('a port or port range like 80 or "8000-8999"', parsePortRange);

/** `four-tuple`, `{ name, ...options }`, or `{ module, options }`. */
const dissector = z.unknown().transform((value, context): DissectorSpec => {
  if (typeof value === 'string') return { name: value, module: null, options: {} };
  if (typeof value === 'object' && value !== null) {
    const { name, module, options, ...rest } = value as Record<string, unknown>;
    if (typeof name === 'string' && module === undefined) {
      return { name, module: null, options: options === undefined ? rest : { options, ...rest } };
    }
    const isMap = typeof options === 'object' && options !== null;
    if (
      typeof module === 'string' &&
      name === undefined &&
      Object.keys(rest).length === 0 &&
      (isMap || options === undefined)
    ) {
      return { name: '', module, options: (options ?? {}) as DissectorSpec['options'] };
    }
  }
  context.addIssue({
    code: 'custom',
    message: `expected a dissector: its name, { name: ..., and its options }, or { module: a file, options: {...} }; got ${JSON.stringify(value)}`,
  });
  return z.NEVER;
});

const trafficsetShape = strictShape({
  name,
  kind: z.enum(TRAFFICSET_KINDS),
  vips: z.array(prefix).default([]),
  /** A file with one prefix per line; `#` begins a comment. */
  vips_from: z.string().min(1).optional(),
  ports: z.array(portRange).min(1).default([ALL_PORTS]),
  protocols: z
    .array(z.enum(['udp', 'esp']))
    .min(1)
    .optional(),
  dissector: dissector.default(FOUR_TUPLE_SPEC),
  fragments: z.enum(['follow', 'drop']).optional(),
  sessions: z.string().min(1).optional(),
  /** With a store, where each node keeps a copy of its last table; `{name}` stands for the server's name. */
  table: z.string().min(1).optional(),
  balance: balanceShape.prefault({}),
});

/** The fleet's sections of cluster.yaml, to be put into a {@link strictShape} together with others. */
export const clusterShape = {
  underlay: strictShape({
    prefixes: z.array(ipv4Prefix).min(1),
    port: z.int().min(1).max(65535).default(DEFAULT_PORT),
    mtu: z.int().min(576).max(65535).default(DEFAULT_MTU),
    icmp_copies: z.int().min(0).max(10_000_000).default(DEFAULT_ICMP_COPIES),
  }),
  servers: z
    .array(
      strictShape({
        name,
        dip,
        weight: z.number().min(0).max(1_000_000).default(1),
        pool: name.default(DEFAULT_POOL),
      }),
    )
    .min(1),
  trafficsets: z.array(trafficsetShape).min(1),
  store: storeShape.optional(),
  conductor: conductorShape.prefault({}),
  monitors: z.array(monitorShape).default([]),
  monitor_groups: z.array(monitorGroupShape).default([]),
};

type ClusterSections = z.output<z.ZodObject<typeof clusterShape>>;

/**
 * Reads the fleet's part of a cluster.yaml, whatever its `node` section says.
 * @throws ConfigError with every problem found
 */
export function loadCluster(file: string): ClusterConfig {
  const shape = strictShape({ ...clusterShape, node: z.unknown().optional() });
  return readYaml(file, shape, (sections, report) => finishCluster(sections, file, report));
}

/**
 * Resolves paths against the configuration's directory, reads the VIPs that lie in files of their own, and reports what
 * contradicts itself.
 */
export function finishCluster(sections: ClusterSections, file: string, report: ProblemReport): ClusterConfig {
  const directory = dirname(resolve(file));
  const cluster: ClusterConfig = {
    underlay: {
      prefixes: sections.underlay.prefixes,
      port: sections.underlay.port,
      mtu: sections.underlay.mtu,
      icmpCopies: sections.underlay.icmp_copies,
    },
    servers: sections.servers,
    control: {
      store: sections.store ?? null,
      conductor: sections.conductor,
      monitors: sections.monitors,
      groups: sections.monitor_groups,
    },
    trafficsets: sections.trafficsets.map(({ vips, vips_from, table, ...rest }, index) => ({
      name: rest.name,
      kind: rest.kind,
      ports: rest.ports,
      ...(rest.protocols === undefined
        ? {}
        : { protocols: rest.protocols.map((protocol) => PROTOCOL_NUMBERS[protocol]) }),
      dissector:
        rest.dissector.module === null
          ? rest.dissector
          : { ...rest.dissector, module: resolve(directory, rest.dissector.module) },
      ...(rest.fragments === undefined ? {} : { fragments: rest.fragments }),
      ...(rest.sessions === undefined ? {} : { sessions: resolve(directory, rest.sessions) }),
      vips:
        vips_from === undefined
          ? vips
          : [
              ...vips,
              ...readVips(resolve(directory, vips_from), ['trafficsets', index, 'vips_from'], report),
            ],
      balance: rest.balance,
      table: resolve(directory, table ?? join(TABLE_COPY, `${rest.name}.table`)),
    })),
  };
  for (const [index, { table }] of sections.trafficsets.entries()) {
    if (table !== undefined || sections.store !== undefined) continue;
    report.at(['trafficsets', index, 'table'], 'expected the path of a table file: there is no store');
  }
  const { icmpCopies } = cluster.underlay;
  if (icmpCopies > 0 && icmpCopies < cluster.servers.length) {
    report.at(
      ['underlay', 'icmp_copies'],
      `${icmpCopies} per second are fewer than the ${cluster.servers.length} servers, so that no error could be copied: ` +
        'give at least one for each, or 0 to copy none',
    );
  }
  checkServers(cluster, report);
  checkTrafficsets(cluster, sections, report);
  checkControl(
    sections,
    cluster.trafficsets.flatMap(({ vips }) => vips),
    report,
  );
  return cluster;
}

/** One prefix per line; `#` begins a comment; empty lines mean nothing. */
function readVips(file: string, path: ConfigPath, report: ProblemReport): Prefix[] {
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    report.at(path, error instanceof Error ? error.message : String(error));
    return [];
  }
  const prefixes: Prefix[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const written = line.split('#', 1)[0].trim();
    if (written === '') continue;
    try {
      prefixes.push(parsePrefix(written));
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      const column = line.indexOf(written) + 1;
      report.add({ file, line: index + 1, column, path: formatPath(path), message: error.message });
    }
  }
  return prefixes;
}

function checkServers({ underlay, servers }: ClusterConfig, report: ProblemReport): void {
  refuseRepeated(servers, 'servers', 'name', report);
  refuseRepeated(servers, 'servers', 'dip', report, formatIpv4);
  for (const [index, server] of servers.entries()) {
    if (underlay.prefixes.some((prefix) => prefix.contains4(server.dip))) continue;
    report.at(
      ['servers', index, 'dip'],
      `${formatIpv4(server.dip)} lies in none of underlay.prefixes (${underlay.prefixes.join(', ')}): ` +
        'other servers would refuse its packets; correct one of them',
    );
  }
}

function checkTrafficsets(cluster: ClusterConfig, sections: ClusterSections, report: ProblemReport): void {
  const { trafficsets } = cluster;
  refuseRepeated(trafficsets, 'trafficsets', 'name', report);
  refuseRepeated(trafficsets, 'trafficsets', 'table', report);
  for (const [index, trafficset] of trafficsets.entries()) {
    if (trafficset.vips.length === 0) {
      report.at(['trafficsets', index], 'has no VIPs: give at least one prefix in vips or vips_from');
    }
    checkSessionSettings(trafficset, index, report);
    checkDissector(cluster, index, report);
  }
  try {
    refuseVipsOverDips(cluster, sections, VipMatcher.build(trafficsets), report);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    report.at(['trafficsets'], error.message);
  }
}

/** What only trafficsets with sessions have. */
function checkSessionSettings(trafficset: TrafficsetConfig, index: number, report: ProblemReport): void {
  if (trafficset.kind === 'udp-session') return;
  const message = `only trafficsets of kind udp-session have it, and this one is ${trafficset.kind}: take it out, or change the kind`;
  for (const key of ['protocols', 'sessions'] as const) {
    if (trafficset[key] !== undefined) report.at(['trafficsets', index, key], message);
  }
}

/** Makes it once, as every worker will. */
function checkDissector({ servers, trafficsets }: ClusterConfig, index: number, report: ProblemReport): void {
  const trafficset = trafficsets[index];
  const { dissector } = trafficset;
  try {
    createDissector(dissector, { servers, protocols: protocolsOf(trafficset) });
  } catch (error) {
    if (!(error instanceof DissectorError)) throw error;
    for (const { path, message } of error.problems) {
      const inside = dissector.module === null ? path : ['options', ...path];
      report.at(['trafficsets', index, 'dissector', ...(path.length === 0 ? [] : inside)], message);
    }
  }
}

/** A server must be reachable by its DIP, whatever happens to the VIPs. */
function refuseVipsOverDips(
  { servers, trafficsets }: ClusterConfig,
  sections: ClusterSections,
  vips: VipMatcher,
  report: ProblemReport,
): void {
  for (const { name, dip } of servers) {
    if (vips.match4(dip, 0, -1) === NOT_VIP) continue;
    for (const [index, trafficset] of trafficsets.entries()) {
      const at = trafficset.vips.findIndex((prefix) => prefix.contains4(dip));
      if (at < 0) continue;
      // Those of vips_from follow those that are written in place.
      const source = at < sections.trafficsets[index].vips.length ? ['vips', at] : ['vips_from'];
      report.at(
        ['trafficsets', index, ...source],
        `${trafficset.vips[at]} covers ${formatIpv4(dip)}, the DIP of server ${name}: VIPs and DIPs must not overlap`,
      );
    }
  }
}

function refuseRepeated<Entry, Key extends keyof Entry & string>(
  entries: readonly Entry[],
  section: string,
  key: Key,
  report: ProblemReport,
  format: (value: Entry[Key]) => string = String,
): void {
  const seen = new Map<Entry[Key], number>();
  for (const [index, entry] of entries.entries()) {
    const earlier = seen.get(entry[key]);
    if (earlier === undefined) seen.set(entry[key], index);
    else {
      report.at(
        [section, index, key],
        `${format(entry[key])} is also the ${key} of ${section}[${earlier}]: make it unique`,
      );
    }
  }
}
