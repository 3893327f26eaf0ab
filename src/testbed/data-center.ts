import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { clientName, serverName } from './addresses.js';
import { ClientHandle } from './client-handle.js';
import { DEFAULT_NODE_SETTINGS, type NodeSettings } from './cluster-file.js';
import { ControlPlane } from './control/control-plane.js';
import { TestbedError } from './errors.js';
import { Fleet } from './fleet.js';
import { Network, type NetworkSpec } from './network.js';
import { Site, type Sites } from './site.js';
import type { Suite } from './suites/suite.js';

export interface DataCenterSpec extends NetworkSpec {
  /** How the nodes run; null: no load balancer at all, the router alone spreads (plain ECMP). */
  readonly loadBalancer: NodeSettings | null;
  /** Name of the suite that says what runs in it. Default: HTTP services (suites/web.ts). */
  readonly suite?: string;
  /** The control group in which servers get their shares of the machine, where a suite wants them. */
  readonly cpuGroup?: string;
}

/** Where a data center keeps its files: in the enclosure's own /run. */
const DIRECTORY = '/run/twohop/data-center';

/**
 * A data center on this machine: the network, services on the servers, a node beside them, and client processes.
 * Only to be made inside an enclosure, whose end is also its end.
 */
export class DataCenter {
  private constructor(
    readonly spec: DataCenterSpec,
    readonly network: Network,
    /** The nodes; null without a load balancer. */
    readonly fleet: Fleet | null,
    /** The conductors and what they run; null where there are none. */
    private readonly control: ControlPlane | null,
    readonly sites: Sites,
    /** By number. */
    private readonly clients: ReadonlyMap<number, ClientHandle>,
  ) {}

  /** Resolves when every service, node and client is ready for work. @throws {TestbedError} */
  static async up(spec: DataCenterSpec, suite: Suite): Promise<DataCenter> {
    const { servers, loadBalancer } = spec;
    const sites: Sites = {
      servers: sitesNamed(servers, serverName),
      clients: sitesNamed(spec.clients, clientName),
    };
    await mkdir(join(DIRECTORY, 'logs'), { recursive: true });
    await Promise.all(
      [...sites.servers, ...sites.clients].map((site) =>
        mkdir(dirname(site.file('any')), { recursive: true }),
      ),
    );
    const isConducted = suite.conducted !== undefined;
    const network = await Network.build({ ...spec, routing: isConducted ? 'bgp' : 'static' });
    const fleet =
      loadBalancer === null || isConducted
        ? null
        : new Fleet(DIRECTORY, servers, loadBalancer, suite.trafficsets(servers));

    const clients = new Map<number, ClientHandle>();
    for (const site of sites.clients) {
      if (suite.clientProcesses.includes(site.number)) clients.set(site.number, startClient(site));
    }
    const [control] = await Promise.all([
      isConducted ? startControlPlane(spec, sites) : null,
      fleet?.start(),
      suite.startServices(sites),
    ]);
    return new DataCenter(spec, network, fleet, control, sites, clients);
  }

  /** Client process by the number of its client, from 1. */
  client(number: number): ClientHandle {
    const client = this.clients.get(number);
    if (client === undefined) throw new TestbedError(`client ${number} has no client process`);
    return client;
  }

  /** All client processes, by the number of their client. */
  allClients(): readonly ClientHandle[] {
    return [...this.clients.values()];
  }

  /** The nodes. @throws {TestbedError} when this data center has none */
  requireFleet(): Fleet {
    if (this.fleet === null) throw new TestbedError('this data center has no load balancer');
    return this.fleet;
  }

  /** The conductors and what they run. @throws {TestbedError} when this data center has none */
  requireControl(): ControlPlane {
    if (this.control === null) throw new TestbedError('this data center has no conductor');
    return this.control;
  }
}

function startControlPlane(
  { cpuGroup, loadBalancer }: DataCenterSpec,
  { servers }: Sites,
): Promise<ControlPlane> {
  if (cpuGroup === undefined) throw new TestbedError('a conductor needs a control group for its servers');
  return ControlPlane.up({
    directory: DIRECTORY,
    servers,
    cpuGroup,
    nodes: loadBalancer ?? DEFAULT_NODE_SETTINGS,
  });
}

function sitesNamed(count: number, nameOf: (number: number) => string): Site[] {
  return Array.from({ length: count }, (_, index) => new Site(index + 1, nameOf(index + 1), DIRECTORY));
}

function startClient(site: Site): ClientHandle {
  return new ClientHandle(site.number, site.name, site.startRole('client', 'client').child);
}
