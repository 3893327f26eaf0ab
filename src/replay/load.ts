import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { readTableFile } from '../table/table-file.js';
import { ReplayFleet, type ReplayServer } from './fleet.js';
import { LISTEN_EVERYWHERE, makeSockets, readSocketsFile } from './sockets-file.js';

export interface FleetFiles {
  /** cluster.yaml; what it says of nodes is not looked at. */
  readonly config: string;
  /** Tables to use instead of the configured ones, each for the trafficset it names. */
  readonly tables: readonly string[];
  /** Null: every server listens on everything. */
  readonly sockets: string | null;
}

/**
 * Reads what a replay needs.
 * @throws ConfigError, TableError
 */
export function loadFleet(files: FleetFiles): ReplayFleet {
  const cluster = loadCluster(files.config);
  const given = new Map(files.tables.map((file) => [...readTableFor(cluster, file)] as const));
  const tables = new Map(
    cluster.trafficsets.map(
      ({ name, table }) => [name, given.get(name) ?? readTableOf(name, table)] as const,
    ),
  );
  if (files.sockets === null) {
    return new ReplayFleet(cluster, tables, makeSockets(LISTEN_EVERYWHERE, cluster, NO_REPORT, []));
  }
  const { sockets, sessions } = readSocketsFile(files.sockets, cluster);
  return new ReplayFleet(cluster, tables, sockets, sessions);
}

/** @throws TableError `unknown-server` with the names there are */
export function serverNamed(fleet: ReplayFleet, name: string): ReplayServer {
  const server = fleet.named(name);
  if (server !== undefined) return server;
  const names = fleet.servers.map((candidate) => candidate.name).join(', ');
  throw new TableError('unknown-server', `there is no server named ${name}: name one of ${names}`);
}

function readTableFor(cluster: ClusterConfig, file: string): [string, ForwardingTable] {
  const table = readTableFile(file);
  if (cluster.trafficsets.some(({ name }) => name === table.trafficset)) return [table.trafficset, table];
  const names = cluster.trafficsets.map(({ name }) => name).join(', ');
  throw new TableError(
    'bad-name',
    `${file} is for trafficset ${table.trafficset}, which the configuration does not have: it has ${names}`,
  );
}

function readTableOf(trafficset: string, file: string): ForwardingTable {
  const table = readTableFile(file);
  if (table.trafficset === trafficset) return table;
  throw new TableError(
    'bad-name',
    `${file} is for trafficset ${table.trafficset}, but the configuration names it for ${trafficset}`,
  );
}

/** The built-in sockets have nothing to report. */
const NO_REPORT = {
  at(_path: readonly (string | number)[], message: string): void {
    throw new Error(message);
  },
  add(problem: { readonly message: string }): void {
    throw new Error(problem.message);
  },
};
