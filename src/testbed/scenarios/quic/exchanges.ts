import { type Family, serverName } from '../../addresses.js';
import type { DataCenter } from '../../data-center.js';
import { type QuicServerReport, reportOf, setPace } from '../../quic/admin.js';
import type { ConnectionReport } from '../../quic/connection.js';
import type { Pace } from '../../quic/narrow-link.js';
import { type Exchange, WAYS, type Way } from '../../quic/plan.js';
import { START_MS, waitUntil } from '../../wait.js';
import { QuicExchange } from './exchange.js';

/** Connections of stock clients in all client namespaces, and what the servers tell of them. */

/** How an exchange goes, or went. */
export interface ServedExchange {
  readonly way: Way;
  /** By number. */
  readonly client: number;
  /** As its server sees it; null when none knows of it. */
  readonly connection: ConnectionReport | null;
  readonly server: string | null;
}

export interface Fate extends ServedExchange {
  /** Null: it completed, and its checksum was right. */
  readonly broken: string | null;
}

export interface ExchangesOptions {
  readonly exchange: Exchange;
  /** Of each way. */
  readonly perClient: number;
  /** In turn. */
  readonly families: readonly Family[];
  readonly migrateAfterMs?: number;
}

let lastSeed = 0;

export class Exchanges {
  private constructor(
    private readonly dataCenter: DataCenter,
    private readonly exchanges: readonly QuicExchange[],
  ) {}

  static async start(dataCenter: DataCenter, options: ExchangesOptions): Promise<Exchanges> {
    const { exchange, perClient, families, migrateAfterMs } = options;
    await setPaceEverywhere(dataCenter, 'slow');
    const exchanges = dataCenter.sites.clients.flatMap((site) =>
      WAYS.flatMap((way) =>
        Array.from({ length: perClient }, (_, index) =>
          QuicExchange.start({
            client: site.number,
            family: families[index % families.length],
            way,
            exchange,
            seed: ++lastSeed,
            directory: site.file('quic'),
            ...(migrateAfterMs === undefined ? {} : { migrateAfterMs }),
          }),
        ),
      ),
    );
    return new Exchanges(dataCenter, await Promise.all(exchanges));
  }

  /** How all are going. */
  async look(): Promise<ServedExchange[]> {
    const known = new Map<string, { readonly connection: ConnectionReport; readonly server: string }>();
    for (const { server, connections } of await reportsOf(this.dataCenter)) {
      for (const connection of connections) {
        // An Initial that went astray begins a second connection, which comes to nothing.
        if (connection.established || !known.has(connection.client)) {
          known.set(connection.client, { connection, server });
        }
      }
    }
    return this.exchanges.map(({ id, options: { way, client } }) => ({
      way,
      client,
      connection: known.get(id)?.connection ?? null,
      server: known.get(id)?.server ?? null,
    }));
  }

  /** Resolves when servers have heard from every connection of a client, by number. */
  async allBegun(client: number): Promise<void> {
    await waitUntil(
      `every QUIC connection of c${client} to begin`,
      async () => (await this.look()).every((one) => one.client !== client || one.connection !== null),
      START_MS,
    );
  }

  /** Resolves when something of every upload has arrived. */
  async allInProgress(): Promise<void> {
    await waitUntil(
      'every QUIC upload to be in progress',
      async () =>
        (await this.look()).every(({ connection }) => connection !== null && connection.received > 0),
      START_MS,
    );
  }

  /** Waits for what ought to happen to all of one way; goes on all the same when it does not in time. */
  async settle(way: Way, happened: (connection: ConnectionReport) => boolean): Promise<void> {
    const probe = async (): Promise<boolean> =>
      (await this.look()).every(
        (one) => one.way !== way || (one.connection !== null && happened(one.connection)),
      );
    // Who asks also judges, by what it sees.
    await waitUntil('QUIC connections to move', probe, SETTLE_MS).catch(() => {});
  }

  /** Lets them run to their end. */
  async finish(): Promise<Fate[]> {
    await setPaceEverywhere(this.dataCenter, 'fast');
    const results = await Promise.all(this.exchanges.map((exchange) => exchange.result()));
    const fates = (await this.look()).map((one, index) => ({
      ...one,
      broken: results[index] ?? this.mistake(index, one),
    }));
    return fates;
  }

  /** Although the client is content. */
  private mistake(index: number, { connection }: ServedExchange): string | null {
    if (connection === null) return 'no server knows of it';
    return connection.digest === this.exchanges[index].uploadDigest ? null : 'wrong checksum at the server';
  }
}

/** Twice of it are to pass within an upload (see UPLOAD_LENGTH). */
const SETTLE_MS = 15_000;

/** What all servers tell, in the order of their numbers. */
export function reportsOf(dataCenter: DataCenter): Promise<QuicServerReport[]> {
  return Promise.all(serversOf(dataCenter).map(reportOf));
}

async function setPaceEverywhere(dataCenter: DataCenter, pace: Pace): Promise<void> {
  await Promise.all(serversOf(dataCenter).map((server) => setPace(server, pace)));
}

function serversOf({ spec }: DataCenter): string[] {
  return Array.from({ length: spec.servers }, (_, index) => serverName(index + 1));
}
