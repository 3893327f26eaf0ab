import type { TrafficsetSpec } from '../cluster-file.js';
import type { Tool } from '../requirements.js';
import type { Scenario } from '../scenarios/scenario.js';
import type { Sites } from '../site.js';

/** A demonstration: a data center with certain services, and what is shown with it, step by step. */
export interface Suite {
  /** The argument of `twohop demo`. */
  readonly name: string;
  /** What it shows, in a few words. */
  readonly title: string;
  /** Commands that its services, clients and scenarios call, beside those of every testbed. */
  readonly tools: readonly Tool[];

  readonly clients: number;
  /** A conductor and its standby run it (see control/); without it, the scenarios write the tables themselves. */
  readonly conducted?: {
    /** Servers at the beginning, at least. One more is there, and can be added. */
    readonly leastServers: number;
  };
  /** Clients (by number) that sit behind an access router. */
  readonly access: readonly number[];
  /** Clients (by number) with a client process (see client.ts); the others are namespaces for whatever else. */
  readonly clientProcesses: readonly number[];

  /** Each has a forwarding table with equal shares for all servers. @param servers their number */
  trafficsets(servers: number): readonly TrafficsetSpec[];
  /** Starts what runs on servers and clients beside nodes and client processes; resolves when it can be used. */
  startServices(sites: Sites): Promise<void>;
  /** In order. */
  readonly scenarios: readonly Scenario[];

  /** A command for people who look around in it afterwards: the arguments of `twohop testbed exec`. */
  readonly tryOut: string;
}
