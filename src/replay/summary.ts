import { STAGE_NAMES } from '../path/counters.js';
import { VERDICTS } from '../path/verdict.js';
import type { ReplayFleet, ReplayServer } from './fleet.js';
import type { Traveller, WayEnd } from './traveller.js';

/** One line of the counters that a node would show as metrics. */
export interface CounterRow {
  readonly server: string;
  readonly stage: string;
  readonly trafficset: string | null;
  readonly verdict: string;
  readonly packets: number;
  readonly bytes: number;
  readonly meaning: string;
}

/** What a whole replay came to. */
export class ReplaySummary {
  /** Frames read, and their bytes on the wire. */
  packets = 0;
  bytes = 0;
  notIp = 0;
  /** Link types among them that are not understood. */
  readonly unsupported = new Set<number>();
  /** Too short in the capture to tell what would happen. */
  undecided = 0;
  tooLong = 0;
  /** Where the input was cut, null when it was whole. */
  cut: string | null = null;
  readonly journeys = new Journeys();

  constructor(private readonly fleet: ReplayFleet) {}

  /** Connections that servers forgot because more came than are followed. */
  get forgotten(): number {
    return this.fleet.servers.reduce((sum, server) => sum + server.sockets.forgotten, 0);
  }

  counters(): CounterRow[] {
    const rows: CounterRow[] = [];
    for (const { name, counters, state } of this.fleet.servers) {
      counters.forEach((stage, trafficset, verdict, packets, bytes) => {
        rows.push({
          server: name,
          stage: STAGE_NAMES[stage],
          trafficset: state.trafficsets[trafficset]?.name ?? null,
          verdict: VERDICTS[verdict].name,
          packets,
          bytes,
          meaning: VERDICTS[verdict].meaning,
        });
      });
    }
    return rows;
  }
}

/** How packets ended, where, and after how many steps. */
export interface JourneyRow {
  readonly server: string;
  readonly end: WayEnd;
  packets: number;
  /** Packets by number of hops before the end, from 0. */
  readonly byHops: number[];
}

export class Journeys {
  /** By server, then end: two looks instead of a made-up key, as every packet comes here. */
  private readonly found = new Map<ReplayServer, Map<WayEnd, JourneyRow>>();

  /** The traveller's last step was the last one. */
  count(traveller: Traveller): void {
    const { server, steps, end } = traveller;
    const row = this.found.get(server)?.get(end) ?? this.newRow(server, end);
    row.packets++;
    while (row.byHops.length < steps) row.byHops.push(0);
    row.byHops[steps - 1]++;
  }

  rows(): readonly JourneyRow[] {
    return [...this.found.values()].flatMap((byEnd) => [...byEnd.values()]);
  }

  private newRow(server: ReplayServer, end: WayEnd): JourneyRow {
    const row = { server: server.name, end, packets: 0, byHops: [] };
    const byEnd = this.found.get(server) ?? new Map<WayEnd, JourneyRow>();
    this.found.set(server, byEnd.set(end, row));
    return row;
  }
}
