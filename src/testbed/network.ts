import {
  accessLink,
  accessName,
  clientLink,
  clientName,
  type Family,
  type LinkEnd,
  MAX_CLIENTS,
  MAX_SERVERS,
  ROUTER,
  serverLink,
  serverName,
  UNDERLAY_PREFIXES,
  VIP_PREFIXES,
} from './addresses.js';
import { TestbedError } from './errors.js';
import { run, runScript } from './run.js';

/**
 * The wires: a router namespace, and around it servers (links of MTU 9000) and clients (MTU 1500), each joined by
 * a veth pair. A client may sit behind an access router, whose link towards the router can be made narrow.
 *
 *   c1 ------------ r0 ---- s1, s2, s3, s4      the router sprays the VIPs over all servers (ECMP)
 *   c2 ---- a2 ---- r0
 *
 * Runs inside an enclosure (see enclosure.ts): nothing here is ever taken down, it vanishes with its processes.
 */

export interface NetworkSpec {
  readonly servers: number;
  readonly clients: number;
  /** Clients (by number) that sit behind an access router. */
  readonly access?: readonly number[];
}

/** How the router chooses among the servers. */
export interface Ecmp {
  /** Servers in next-hop order. The order matters: it says which part of the hash space belongs to whom. */
  readonly servers: readonly number[];
  readonly seed: number;
}

export const SERVER_MTU = 9000;
export const CLIENT_MTU = 1500;

/** Names of `/proc/sys` files with `/` for the dots, and what goes into them. */
type Sysctls = Readonly<Record<string, number | string>>;

/** Before any interface exists: interfaces copy `default` when they are made. */
const EVERYWHERE: Sysctls = {
  'net/ipv4/conf/all/rp_filter': 0,
  'net/ipv4/conf/default/rp_filter': 0,
  'net/ipv4/conf/all/send_redirects': 0,
  'net/ipv4/conf/default/send_redirects': 0,
  'net/ipv6/conf/all/accept_dad': 0,
  'net/ipv6/conf/default/accept_dad': 0,
  'net/ipv6/conf/all/accept_ra': 0,
  'net/ipv6/conf/default/accept_ra': 0,
};

const FORWARDING: Sysctls = {
  'net/ipv4/ip_forward': 1,
  'net/ipv6/conf/all/forwarding': 1,
  // Path MTU discovery is under test here, not its rate limits.
  'net/ipv4/icmp_ratelimit': 0,
  'net/ipv6/icmp/ratelimit': 0,
};

const ON_ROUTER: Sysctls = {
  ...FORWARDING,
  // Policy 3 with these fields hashes the packet's own 5-tuple. Policy 1 would use the sender's per-socket random
  // hash, which leaks across veth: one flow would then be seen on several servers.
  'net/ipv4/fib_multipath_hash_policy': 3,
  'net/ipv4/fib_multipath_hash_fields': 0x37,
  'net/ipv6/fib_multipath_hash_policy': 3,
  'net/ipv6/fib_multipath_hash_fields': 0x37,
  'net/ipv4/conf/all/ignore_routes_with_linkdown': 1,
  'net/ipv6/conf/all/keep_addr_on_down': 1,
};

const ON_SERVERS: Sysctls = {
  // A whole prefix is local; without this IPv6 refuses to answer from its addresses.
  'net/ipv6/ip_nonlocal_bind': 1,
  'net/ipv4/ip_nonlocal_bind': 1,
  'net/core/somaxconn': 4096,
  'net/ipv4/tcp_max_syn_backlog': 4096,
};

const ON_CLIENTS: Sysctls = {
  // Small receive windows: a reader that pauses stalls its sender within these bytes, so that a download
  // is in progress for as long as a scenario wants it to be.
  'net/ipv4/tcp_rmem': '4096 16384 32768',
};

export class Network {
  private constructor(
    readonly spec: NetworkSpec,
    private current: Ecmp,
  ) {}

  /** Builds everything; the ECMP routes lead to all servers. */
  static async build(spec: NetworkSpec): Promise<Network> {
    checkSpec(spec);
    const servers = numbers(spec.servers);
    const clients = numbers(spec.clients);
    const behindAccess = new Set(spec.access ?? []);
    const access = clients.filter((client) => behindAccess.has(client));

    const namespaces = [
      ROUTER,
      ...servers.map(serverName),
      ...clients.map(clientName),
      ...access.map(accessName),
    ];
    await run('ip', ['-batch', '-'], lines(namespaces.map((name) => `netns add ${name}`)));
    await Promise.all([
      runScript(ROUTER, sysctls({ ...EVERYWHERE, ...ON_ROUTER })),
      ...servers.map((server) => runScript(serverName(server), sysctls({ ...EVERYWHERE, ...ON_SERVERS }))),
      ...clients.map((client) => runScript(clientName(client), sysctls({ ...EVERYWHERE, ...ON_CLIENTS }))),
      ...access.map((client) => runScript(accessName(client), sysctls({ ...EVERYWHERE, ...FORWARDING }))),
    ]);

    const pairs = [
      ...servers.map((server) => veth(ROUTER, serverName(server), serverName(server), SERVER_MTU)),
      ...clients.map((client) =>
        behindAccess.has(client)
          ? veth(accessName(client), clientName(client), clientName(client), CLIENT_MTU)
          : veth(ROUTER, clientName(client), clientName(client), CLIENT_MTU),
      ),
      ...access.map((client) => veth(ROUTER, accessName(client), accessName(client), CLIENT_MTU)),
    ];
    await run('ip', ['-batch', '-'], lines(pairs));

    const ecmp: Ecmp = { servers, seed: 1 };
    await Promise.all([
      ...servers.map((server) => runScript(serverName(server), ipBatch(serverSetup(server)))),
      ...clients.map((client) => runScript(clientName(client), ipBatch(clientSetup(client)))),
      ...access.map((client) => runScript(accessName(client), ipBatch(accessSetup(client)))),
    ]);
    // Last, because next-hop objects are refused while the other end of their link is down.
    await runScript(ROUTER, routerSetup(servers, clients, behindAccess, ecmp));
    return new Network(spec, ecmp);
  }

  /** The router's interface towards a client. */
  entranceOf(client: number): string {
    return this.spec.access?.includes(client) ? accessName(client) : clientName(client);
  }

  get ecmp(): Ecmp {
    return this.current;
  }

  /** Replaces the router's choice of servers: other servers, another order, another seed; what is left out stays. */
  async setEcmp(change: Partial<Ecmp>): Promise<void> {
    const ecmp: Ecmp = { ...this.current, ...change };
    if (ecmp.servers.length === 0) throw new TestbedError('ECMP needs at least one server');
    const script = [
      ...(ecmp.seed === this.current.seed ? [] : [seedLine(ecmp.seed)]),
      ...(ecmp.servers === this.current.servers ? [] : [ipBatch(nextHopGroups('replace', ecmp.servers))]),
    ];
    await runScript(ROUTER, lines(script));
    this.current = ecmp;
  }

  /**
   * Sets the MTU of the link between the router and the access router of `client`: of both ends, because veth
   * drops silently what the receiving end finds too big.
   */
  async setAccessMtu(client: number, mtu: number): Promise<void> {
    if (!this.spec.access?.includes(client)) {
      throw new TestbedError(`client ${client} has no access router`);
    }
    const name = accessName(client);
    await Promise.all([
      runScript(ROUTER, `ip link set ${name} mtu ${mtu}`),
      runScript(name, `ip link set eth0 mtu ${mtu}`),
    ]);
  }
}

const FAMILIES: readonly Family[] = [4, 6];

/** Ids of the next-hop objects: one group per family, and in it one next hop per server. */
const GROUP_ID: Readonly<Record<Family, number>> = { 4: 4, 6: 6 };
const nextHopId = (server: number, family: Family): number => 100 * family + server;

function checkSpec(spec: NetworkSpec): void {
  checkCount('servers', spec.servers, MAX_SERVERS);
  checkCount('clients', spec.clients, MAX_CLIENTS);
  for (const client of spec.access ?? []) checkCount('access router of client', client, spec.clients);
}

function checkCount(what: string, count: number, most: number): void {
  if (!Number.isInteger(count) || count < 1 || count > most) {
    throw new TestbedError(`${what}: ${count} is not a whole number from 1 to ${most}`);
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');
const ipBatch = (commands: readonly string[]): string => `ip -batch - <<'END'\n${lines(commands)}END\n`;

function sysctls(values: Sysctls): string {
  return lines(Object.entries(values).map(([name, value]) => `echo '${value}' > /proc/sys/${name}`));
}

// The seed covers both families, in spite of the file's name.
const seedLine = (seed: number): string => sysctls({ 'net/ipv4/fib_multipath_hash_seed': seed });

/** In `near` the interface has the name given; the far end is always eth0. */
function veth(near: string, nearInterface: string, far: string, mtu: number): string {
  return (
    `link add name ${nearInterface} mtu ${mtu} netns ${near} ` +
    `type veth peer name eth0 mtu ${mtu} netns ${far}`
  );
}

function addresses(device: string, own: LinkEnd['own']): string[] {
  // nodad: duplicate address detection would cost 1.4 s.
  return [`addr add ${own[4]}/31 dev ${device}`, `addr add ${own[6]}/127 dev ${device} nodad`];
}

/** Next-hop groups are replaced in one step for all packets; routes that list their next hops are not. */
function nextHopGroups(verb: 'add' | 'replace', servers: readonly number[]): string[] {
  return FAMILIES.map((family) => {
    const members = servers.map((server) => nextHopId(server, family)).join('/');
    return `nexthop ${verb} id ${GROUP_ID[family]} group ${members}`;
  });
}

function routerSetup(
  servers: readonly number[],
  clients: readonly number[],
  behindAccess: ReadonlySet<number>,
  ecmp: Ecmp,
): string {
  const commands = ['link set lo up'];
  for (const server of servers) {
    const name = serverName(server);
    const link = serverLink(server);
    commands.push(`link set ${name} up`, ...addresses(name, link.peer));
    for (const family of FAMILIES) {
      commands.push(`nexthop add id ${nextHopId(server, family)} via ${link.own[family]} dev ${name}`);
    }
  }
  for (const client of clients) {
    if (behindAccess.has(client)) {
      const name = accessName(client);
      const link = accessLink(client);
      const edge = clientLink(client).peer;
      commands.push(`link set ${name} up`, ...addresses(name, link.peer));
      commands.push(
        `route add ${edge[4]}/31 via ${link.own[4]}`,
        `route add ${edge[6]}/127 via ${link.own[6]}`,
      );
    } else {
      const name = clientName(client);
      commands.push(`link set ${name} up`, ...addresses(name, clientLink(client).peer));
    }
  }
  commands.push(...nextHopGroups('add', ecmp.servers));
  for (const family of FAMILIES) {
    commands.push(`route add ${VIP_PREFIXES[family]} nhid ${GROUP_ID[family]}`);
  }
  return seedLine(ecmp.seed) + ipBatch(commands);
}

function serverSetup(server: number): string[] {
  const link = serverLink(server);
  return [
    'link set lo up',
    'link set eth0 up',
    ...addresses('eth0', link.own),
    // To other servers jumbo frames; to everybody else the Internet's size, or replies would not fit the clients.
    `route add ${UNDERLAY_PREFIXES[4]} via ${link.peer[4]}`,
    `route add ${UNDERLAY_PREFIXES[6]} via ${link.peer[6]}`,
    `route add default via ${link.peer[4]} mtu 1500 advmss 1460`,
    `route add default via ${link.peer[6]} mtu 1500 advmss 1440`,
    `route add local ${VIP_PREFIXES[4]} dev lo`,
    `route add local ${VIP_PREFIXES[6]} dev lo`,
  ];
}

function clientSetup(client: number): string[] {
  const link = clientLink(client);
  return [
    'link set lo up',
    'link set eth0 up',
    ...addresses('eth0', link.own),
    `route add default via ${link.peer[4]}`,
    `route add default via ${link.peer[6]}`,
  ];
}

function accessSetup(client: number): string[] {
  const link = accessLink(client);
  const name = clientName(client);
  return [
    'link set lo up',
    'link set eth0 up',
    `link set ${name} up`,
    ...addresses('eth0', link.own),
    ...addresses(name, clientLink(client).peer),
    `route add default via ${link.peer[4]}`,
    `route add default via ${link.peer[6]}`,
  ];
}
