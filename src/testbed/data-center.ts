import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { clientName, serverName } from './addresses.js';
import { ClientHandle } from './client-handle.js';
import type { FailureMode } from './cluster-file.js';
import { Daemon } from './daemon.js';
import { TestbedError } from './errors.js';
import { Fleet } from './fleet.js';
import { PROCESS_ENTRY } from './locations.js';
import { Network, type NetworkSpec } from './network.js';

export interface DataCenterSpec extends NetworkSpec {
  /** What a server does without its node; null: no load balancer at all, the router alone spreads (plain ECMP). */
  readonly loadBalancer: FailureMode | null;
}

/** Where a data center keeps its files: in the enclosure's own /run. */
export const DIRECTORY = '/run/twohop/data-center';

/**
 * A data center on this machine: the network, a service on every server, a node beside it, and client processes.
 * Only to be made inside an enclosure, whose end is also its end.
 */
export class DataCenter {
  private constructor(
    readonly spec: DataCenterSpec,
    readonly network: Network,
    /** The nodes; null without a load balancer. */
    readonly fleet: Fleet | null,
    private readonly clients: readonly ClientHandle[],
  ) {}

  /** Resolves when every service, node and client is ready for work. @throws {TestbedError} */
  static async up(spec: DataCenterSpec): Promise<DataCenter> {
    const logs = join(DIRECTORY, 'logs');
    await mkdir(logs, { recursive: true });
    const network = await Network.build(spec);
    const fleet = spec.loadBalancer === null ? null : new Fleet(DIRECTORY, spec.servers, spec.loadBalancer);

    const clients = Array.from({ length: spec.clients }, (_, index) => startClient(index + 1, logs));
    await Promise.all([
      fleet?.start(),
      ...Array.from({ length: spec.servers }, (_, index) => startService(index + 1, logs)),
    ]);
    return new DataCenter(spec, network, fleet, clients);
  }

  /** Client by number, from 1. */
  client(number: number): ClientHandle {
    const client = this.clients[number - 1];
    if (client === undefined) throw new TestbedError(`there is no client ${number}`);
    return client;
  }

  allClients(): readonly ClientHandle[] {
    return this.clients;
  }

  /** The nodes. @throws {TestbedError} when this data center has none */
  requireFleet(): Fleet {
    if (this.fleet === null) throw new TestbedError('this data center has no load balancer');
    return this.fleet;
  }
}

function startClient(number: number, logs: string): ClientHandle {
  const name = clientName(number);
  const daemon = Daemon.start({
    name: `client ${name}`,
    namespace: name,
    command: [process.execPath, PROCESS_ENTRY, 'client'],
    log: join(logs, `${name}.log`),
    talks: true,
  });
  return new ClientHandle(name, daemon.child);
}

/** Resolves when the service takes connections. */
async function startService(number: number, logs: string): Promise<void> {
  const name = serverName(number);
  const daemon = Daemon.start({
    name: `service of ${name}`,
    namespace: name,
    command: [process.execPath, PROCESS_ENTRY, 'service', name],
    log: join(logs, `${name}.service.log`),
    talks: true,
  });
  await new Promise<void>((resolve, reject) => {
    daemon.child.once('exit', () => reject(daemon.failure()));
    // It says one thing in its life: that it is ready.
    daemon.child.stdout?.once('data', () => resolve());
  });
}
