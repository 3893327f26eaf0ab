import {
  accessLink,
  accessName,
  clientLink,
  clientName,
  FAMILIES,
  type Family,
  type LinkEnd,
  serverLink,
  serverName,
  UNDERLAY_PREFIXES,
  VIP_PREFIXES,
} from './addresses.js';

/** What is done in each namespace of the network, as input for a shell or for `ip -batch`. */

/** How the router chooses among the servers. */
export interface Ecmp {
  /** Servers in next-hop order. The order matters: it says which part of the hash space belongs to whom. */
  readonly servers: readonly number[];
  readonly seed: number;
}

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

const BY_ROLE = { router: ON_ROUTER, access: FORWARDING, server: ON_SERVERS, client: ON_CLIENTS } as const;

/** Sets what a namespace of this role needs, before it has interfaces. */
export function sysctlsOf(role: keyof typeof BY_ROLE): string {
  return sysctls({ ...EVERYWHERE, ...BY_ROLE[role] });
}

/** Ids of the next-hop objects: one group per family, and in it one next hop per server. */
const GROUP_ID: Readonly<Record<Family, number>> = { 4: 4, 6: 6 };
const nextHopId = (server: number, family: Family): number => 100 * family + server;

export const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');
export const ipBatch = (commands: readonly string[]): string =>
  `ip -batch - <<'END'\n${lines(commands)}END\n`;

function sysctls(values: Sysctls): string {
  return lines(Object.entries(values).map(([name, value]) => `echo '${value}' > /proc/sys/${name}`));
}

/**
 * The seed of both families, in spite of the file's name. Kernels before 6.11 do not have it; there only the order of
 * the next hops can be changed.
 */
export function seedLine(seed: number): string {
  const file = '/proc/sys/net/ipv4/fib_multipath_hash_seed';
  return `[ ! -e ${file} ] || echo ${seed} > ${file}\n`;
}

/** In `near` the interface has the name given; the far end is always eth0. */
export function veth(near: string, nearInterface: string, far: string, mtu: number): string {
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
export function nextHopGroups(verb: 'add' | 'replace', servers: readonly number[]): string[] {
  return FAMILIES.map((family) => {
    const members = servers.map((server) => nextHopId(server, family)).join('/');
    return `nexthop ${verb} id ${GROUP_ID[family]} group ${members}`;
  });
}

/** @param ecmp null: routes to the VIPs come from elsewhere */
export function routerSetup(
  servers: readonly number[],
  clients: readonly number[],
  behindAccess: ReadonlySet<number>,
  ecmp: Ecmp | null,
): string {
  const commands = ['link set lo up'];
  for (const server of servers) {
    const name = serverName(server);
    const link = serverLink(server);
    commands.push(`link set ${name} up`, ...addresses(name, link.peer));
    for (const family of ecmp === null ? [] : FAMILIES) {
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
  if (ecmp !== null) {
    commands.push(...nextHopGroups('add', ecmp.servers));
    for (const family of FAMILIES) {
      commands.push(`route add ${VIP_PREFIXES[family]} nhid ${GROUP_ID[family]}`);
    }
  }
  return ipBatch(commands);
}

export function serverSetup(server: number): string[] {
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

export function clientSetup(client: number): string[] {
  const link = clientLink(client);
  return [
    'link set lo up',
    'link set eth0 up',
    ...addresses('eth0', link.own),
    `route add default via ${link.peer[4]}`,
    `route add default via ${link.peer[6]}`,
  ];
}

export function accessSetup(client: number): string[] {
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
