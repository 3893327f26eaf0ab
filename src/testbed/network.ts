import { accessName, clientName, MAX_CLIENTS, MAX_SERVERS, ROUTER, serverName } from './addresses.js';
import { TestbedError } from './errors.js';
import {
  accessSetup,
  clientSetup,
  type Ecmp,
  ipBatch,
  lines,
  nextHopGroups,
  routerSetup,
  seedLine,
  serverSetup,
  sysctlsOf,
  veth,
} from './namespace-setup.js';
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
  /** `static` (default): the router's ECMP routes are written down; `bgp`: it learns them from the servers. */
  readonly routing?: 'static' | 'bgp';
}

export const SERVER_MTU = 9000;
export const CLIENT_MTU = 1500;

export class Network {
  private constructor(
    readonly spec: NetworkSpec,
    private current: Ecmp,
  ) {}

  /** Builds everything; the ECMP routes, where they are static, lead to all servers. */
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
      runScript(ROUTER, sysctlsOf('router')),
      ...servers.map((server) => runScript(serverName(server), sysctlsOf('server'))),
      ...clients.map((client) => runScript(clientName(client), sysctlsOf('client'))),
      ...access.map((client) => runScript(accessName(client), sysctlsOf('access'))),
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
    const routes = spec.routing === 'bgp' ? null : ecmp;
    await runScript(ROUTER, seedLine(ecmp.seed) + routerSetup(servers, clients, behindAccess, routes));
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
    if (this.spec.routing === 'bgp') throw new TestbedError('the router learns its routes from the servers');
    const ecmp: Ecmp = { ...this.current, ...change };
    if (ecmp.servers.length === 0) throw new TestbedError('ECMP needs at least one server');
    const script = [
      ...(ecmp.seed === this.current.seed ? [] : [seedLine(ecmp.seed)]),
      ...(ecmp.servers === this.current.servers ? [] : [ipBatch(nextHopGroups('replace', ecmp.servers))]),
    ];
    await runScript(ROUTER, lines(script));
    this.current = ecmp;
  }

  /** The router chooses anew for every flow. Kernels before 6.11 have no seed: there the order alone does it. */
  async rehash(seed: number): Promise<void> {
    const [first, ...others] = this.current.servers;
    await this.setEcmp({ seed, servers: [...others, first] });
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

  /** Sets the MTU of the client's own link, of both ends: what the client sends must fit, and so must what it gets. */
  async setClientMtu(client: number, mtu: number): Promise<void> {
    const name = clientName(client);
    const near = this.spec.access?.includes(client) ? accessName(client) : ROUTER;
    await Promise.all([
      runScript(near, `ip link set ${name} mtu ${mtu}`),
      runScript(name, `ip link set eth0 mtu ${mtu}`),
    ]);
  }
}

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
