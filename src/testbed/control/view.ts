import type { NodeRecord, ServerRecord, StatusRecord } from '../../store/records.js';
import { TRAFFICSET } from './cluster.js';

/** What the store says of the data center, as one picture. */
export interface ControlView {
  /** The store can be reached; what follows is the last that was known otherwise. */
  readonly available: boolean;
  /** Name of the active conductor; null when there is none. */
  readonly leader: string | null;
  /** Names of all conductors that are there. */
  readonly conductors: readonly string[];
  readonly servers: Readonly<Record<string, ServerRecord>>;
  readonly nodes: Readonly<Record<string, NodeRecord>>;
  /** The newest table of the demonstration's trafficset, with a digest of its rows; null before the first. */
  readonly table: { readonly version: number; readonly sha256: string } | null;
  /** What the active conductor thinks; null before the first has spoken. */
  readonly status: StatusRecord | null;
}

export const EMPTY_VIEW: ControlView = {
  available: false,
  leader: null,
  conductors: [],
  servers: {},
  nodes: {},
  table: null,
  status: null,
};

/** Buckets in which a server gets new flows, as the active conductor says; 0 when it is not known. */
export function bucketsOf({ status }: ControlView, server: string): number {
  return status?.trafficsets[TRAFFICSET]?.newFlows[server] ?? 0;
}

/** Version of the table that the active conductor has published; -1 before the first. */
export const versionOf = ({ status }: ControlView): number => status?.trafficsets[TRAFFICSET]?.version ?? -1;

/**
 * Whether every node that is there uses the newest table.
 * @param dead one that the store does not know to be gone yet
 */
export function allHave(view: ControlView, dead = ''): boolean {
  return Object.entries(view.nodes).every(
    ([name, { tables }]) => name === dead || (tables[TRAFFICSET] ?? -1) >= versionOf(view),
  );
}

/** As much of an equal share as the control loop leaves any server that is well. */
const LEAST_SHARE = 0.4;

/** Whether a server gets about its share of new connections, and every node knows. */
export function hasShare(view: ControlView, server: string): boolean {
  const shares = Object.values(view.status?.trafficsets[TRAFFICSET]?.newFlows ?? {});
  const fair = shares.reduce((sum, buckets) => sum + buckets, 0) / shares.length;
  return bucketsOf(view, server) >= LEAST_SHARE * fair && allHave(view);
}

/** `two leads, version 9; s1 in 200; s2 down 0: web-http fails; s3 in 190, behind`, for a message. */
export function inShort(view: ControlView): string {
  const { available, leader, status, nodes } = view;
  const servers = Object.entries(status?.servers ?? {}).map(([name, { standing, why }]) => {
    const node = nodes[name];
    const behind = (node?.tables[TRAFFICSET] ?? -1) < versionOf(view);
    const reason = standing === 'in' ? '' : `: ${why}`;
    return `${name} ${standing} ${bucketsOf(view, name)}${reason}${node === undefined ? ', no node' : behind ? ', behind' : ''}`;
  });
  const who = leader === null ? 'nobody leads' : `${leader} leads`;
  return [`${available ? '' : 'the store is away, '}${who}, version ${versionOf(view)}`, ...servers].join(
    '; ',
  );
}
