import { TRAFFICSET } from './cluster.js';
import type { ControlView } from './view.js';

/** How the data center stands at a moment, for people who watch. */
export interface Picture {
  readonly servers: readonly PicturedServer[];
  /** Version of the table; null before the first. */
  readonly version: number | null;
  /** The active conductor; null when there is none. */
  readonly leader: string | null;
  readonly storeIsThere: boolean;
  readonly wideProblem: string | null;
  /** What changed the table last, the newest last. */
  readonly moves: readonly string[];
}

export interface PicturedServer {
  readonly name: string;
  readonly standing: string;
  /** CPU in use, of what it has, 0 to 1; null when it is not known. */
  readonly load: number | null;
  /** Share of the buckets in which it gets new flows, 0 to 1. */
  readonly share: number;
}

const MOVES = 4;

export function pictureOf({ status, nodes, leader, available }: ControlView): Picture {
  const trafficset = status?.trafficsets[TRAFFICSET];
  const names = Object.keys(status?.servers ?? {}).sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  return {
    servers: names.map((name) => ({
      name,
      standing: status?.servers[name].standing ?? '',
      load: nodes[name]?.cpu ?? null,
      share: (trafficset?.newFlows[name] ?? 0) / (trafficset?.buckets ?? 1),
    })),
    version: trafficset?.version ?? null,
    leader,
    storeIsThere: available,
    wideProblem: status?.wideProblem ?? null,
    moves: (trafficset?.moves ?? []).slice(-MOVES).map(({ version, text }) => `version ${version}: ${text}`),
  };
}
