import type { ListedSockets } from '../io/listed-sockets.js';
import { pathConfigOf } from '../path/config.js';
import { PathCounters } from '../path/counters.js';
import { Forwarder } from '../path/forwarder.js';
import { Redirector } from '../path/redirector.js';
import { type PathConfig, PathState } from '../path/state.js';
import type { ClusterConfig } from '../table/cluster.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import type { FleetSessions } from './sockets-file.js';

/**
 * The whole fleet in one process, without a network: every server has the same forwarder and redirector that run in a
 * node, over listed sockets instead of a kernel's.
 */
export class ReplayFleet {
  readonly servers: readonly ReplayServer[];
  private readonly byDip: ReadonlyMap<number, ReplayServer>;
  private readonly byName: ReadonlyMap<string, ReplayServer>;

  /** @param tables by trafficset; @param sockets by server; @param sessions by server and trafficset */
  constructor(
    readonly cluster: ClusterConfig,
    readonly tables: ReadonlyMap<string, ForwardingTable>,
    sockets: ReadonlyMap<string, ListedSockets>,
    sessions: FleetSessions = new Map(),
  ) {
    // The VIPs are compiled once for all.
    const config = pathConfigOf(cluster, 0, (name) => tables.get(name) ?? null);
    this.servers = cluster.servers.map(({ name, dip }) => {
      const own = sockets.get(name);
      if (own === undefined) throw new Error(`server ${name} has no list of sockets`);
      const trafficsets = config.trafficsets.map((trafficset) => ({
        ...trafficset,
        sessions: sessions.get(name)?.get(trafficset.name) ?? null,
      }));
      return new ReplayServer(name, { ...config, dip, trafficsets }, own);
    });
    this.byDip = new Map(this.servers.map((server) => [server.dip, server]));
    this.byName = new Map(this.servers.map((server) => [server.name, server]));
  }

  /** @param dip host order */
  at(dip: number): ReplayServer | undefined {
    return this.byDip.get(dip);
  }

  named(name: string): ReplayServer | undefined {
    return this.byName.get(name);
  }

  /** Null when no server has that address. @param dip host order */
  nameOf(dip: number): string | null {
    return this.byDip.get(dip)?.name ?? null;
  }

  /** From the next packet on. */
  useTable(table: ForwardingTable): void {
    const index = this.cluster.trafficsets.findIndex(({ name }) => name === table.trafficset);
    for (const server of this.servers) server.state.trafficsets[index].useTable(table);
  }
}

/** One server: both stages, and the same once more for trying what a packet would do. */
export class ReplayServer {
  readonly dip: number;
  readonly state: PathState;
  readonly counters: PathCounters;
  readonly stages: Stages;
  /** Count elsewhere, and teach the sockets nothing. */
  readonly trial: Stages;

  constructor(
    readonly name: string,
    config: PathConfig,
    readonly sockets: ListedSockets,
  ) {
    this.dip = config.dip;
    this.state = new PathState(config);
    const trafficsets = config.trafficsets.length;
    this.counters = new PathCounters(trafficsets);
    this.stages = {
      forwarder: new Forwarder(this.state, this.counters, sockets, 1),
      redirector: new Redirector(this.state, this.counters, sockets, 1),
    };
    const observer = sockets.observer();
    const uncounted = new PathCounters(trafficsets);
    this.trial = {
      forwarder: new Forwarder(this.state, uncounted, observer, 1),
      redirector: new Redirector(this.state, uncounted, observer, 1),
    };
    this.stages.redirector.explains = 1;
    this.trial.redirector.explains = 1;
  }
}

/** For batches of one packet. */
export interface Stages {
  readonly forwarder: Forwarder;
  readonly redirector: Redirector;
}
