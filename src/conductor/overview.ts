import {
  type ConductorRecord,
  conductorRecord,
  decodeRecord,
  Keys,
  type NodeRecord,
  nodeRecord,
  type StatusRecord,
  statusRecord,
} from '../store/records.js';
import type { Store } from '../store/store.js';
import { type KnownServer, readServers } from './servers.js';

/** Everything that the store says of a data center at one moment, for commands to show or to wait for. */
export interface Overview {
  readonly store: string;
  /** Of the store when it was read. */
  readonly revision: number;
  readonly leader: ConductorRecord | null;
  readonly conductors: readonly ConductorRecord[];
  /** As the active conductor wrote it last; it may be gone since. */
  readonly status: StatusRecord | null;
  readonly servers: readonly KnownServer[];
  /** Names of servers whose records cannot be read. */
  readonly damaged: readonly string[];
  /** Those that are there now, by name. */
  readonly nodes: ReadonlyMap<string, NodeRecord>;
}

/** @throws StoreError */
export async function readOverview(store: Store): Promise<Overview> {
  const [leader, conductors, status, nodes, { servers, damaged }] = await Promise.all([
    store.get(Keys.leader),
    store.list(Keys.conductors),
    store.get(Keys.status),
    store.list(Keys.nodes),
    readServers(store),
  ]);
  return {
    store: store.description,
    revision: conductors.revision,
    leader: leader === null ? null : decodeRecord(conductorRecord, leader.value),
    conductors: conductors.entries.flatMap(({ value }) => decodeRecord(conductorRecord, value) ?? []),
    status: status === null ? null : decodeRecord(statusRecord, status.value),
    servers,
    damaged,
    nodes: new Map(
      nodes.entries.flatMap(({ key, value }) => {
        const record = decodeRecord(nodeRecord, value);
        return record === null ? [] : [[key.slice(Keys.nodes.length), record] as const];
      }),
    ),
  };
}

/** Nodes that are there and do not use the current version of a trafficset's table, by trafficset. */
export function nodesBehind({ status, nodes }: Overview): Map<string, string[]> {
  const behind = new Map<string, string[]>();
  for (const [trafficset, { version }] of Object.entries(status?.trafficsets ?? {})) {
    const names = [...nodes]
      .filter(([, { tables }]) => (tables[trafficset] ?? -1) < version)
      .map(([name]) => name);
    if (names.length > 0) behind.set(trafficset, names);
  }
  return behind;
}

/** What a change of servers waits for. */
export interface Awaited {
  /** Revision of the store that the tables must follow. */
  readonly revision: number;
  /** A server that is to get new flows; null: none. */
  readonly server: string | null;
}

/** @returns what is still missing, for people; null when nothing is */
export function missing(overview: Overview, { revision, server }: Awaited): string | null {
  const { leader, status } = overview;
  if (leader === null) return 'no conductor is active';
  if (status === null || status.conductor !== leader.name)
    return `conductor ${leader.name} has not said anything yet`;
  if (status.followed < revision) {
    const waiting = Object.entries(status.trafficsets).flatMap(([name, { waiting: why }]) =>
      why.map((one) => `${name}: ${one}`),
    );
    const why = waiting.length > 0 ? ` (${waiting.join('; ')})` : '';
    return `conductor ${leader.name} has not published tables that follow it${why}`;
  }
  if (server !== null) {
    const known = status.servers[server];
    if (known?.standing !== 'in')
      return `${server} gets no new flows yet: ${known?.why ?? 'nobody knows it'}`;
  }
  const behind = [...nodesBehind(overview)].map(([name, nodes]) => `${name} on ${nodes.join(', ')}`);
  return behind.length === 0 ? null : `nodes do not use the current table yet: ${behind.join('; ')}`;
}
