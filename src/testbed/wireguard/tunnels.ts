import { serverLink, vip } from '../addresses.js';
import type { DataCenter } from '../data-center.js';
import { TestbedError } from '../errors.js';
import { ipBatch } from '../namespace-setup.js';
import type { Site, Sites } from '../site.js';
import { waitUntil } from '../wait.js';
import { type ClientPath, clientConfiguration, serverConfiguration } from './configuration.js';
import { readAllPeers } from './dump.js';
import { configureInterfaces, startInterface } from './interface.js';
import { type KeyPair, newKeyPair } from './keys.js';
import {
  clientInterface,
  firstPort,
  serverInterface,
  TUNNEL_SERVER,
  tunnelAddress,
  WIREGUARD_PORT,
} from './plan.js';
import { replaceFile } from './replace-file.js';
import type { PublisherOptions } from './session-publisher.js';
import { stampScript, unstampScript } from './stamp.js';

/** A handshake that is lost is tried again after five seconds (REKEY_TIMEOUT). */
const HANDSHAKES_MS = 30_000;

/** What a client's end says of its tunnel, and who else says that it has one. */
export interface TunnelReading {
  /** Seconds since 1970; 0 when there was no handshake. */
  readonly latestHandshake: number;
  /** Numbers of the servers that have had a handshake with this client. */
  readonly servers: readonly number[];
  /** Where these servers have seen the client last: `198.51.100.3:51820`. */
  readonly endpoints: readonly string[];
}

/**
 * WireGuard on all servers and clients: every server has the same key, the same peers and the same address inside, so
 * that a client cannot tell them apart. A session lives on one of them alone.
 */
export class Tunnels {
  private readonly serverKey = newKeyPair();
  private readonly clientKeys: ReadonlyMap<number, KeyPair>;
  /** By client; those that are not in it send zeros, as stock clients do. */
  private readonly clientIds = new Map<number, string>();

  private constructor(private readonly sites: Sites) {
    this.clientKeys = new Map(sites.clients.map(({ number }) => [number, newKeyPair()]));
  }

  /**
   * Resolves when all interfaces are up, without a session, and every server publishes which it has.
   * @param sessionsFile where a server (by name) publishes
   */
  static async start(sites: Sites, sessionsFile: (server: string) => string): Promise<Tunnels> {
    const tunnels = new Tunnels(sites);
    const { servers, clients } = sites;
    tunnels.writeClientIds();
    await Promise.all([
      ...servers.map((site) => startServer(site, tunnels.clientIdsFile, sessionsFile(site.name))),
      ...clients.map((site) => startClient(site)),
    ]);
    await tunnels.forgetAll();
    return tunnels;
  }

  get serverPublicKey(): string {
    return this.serverKey.publicKey;
  }

  /** Gives clients their clientids (six hexadecimal digits), and tells the servers; null takes one away. */
  async assignClientIds(assigned: ReadonlyMap<number, string | null>): Promise<void> {
    const scripts = [...assigned].map(([client, clientId]) => {
      const before = this.clientIds.get(client) ?? null;
      const script =
        (before === null ? '' : unstampScript) + (clientId === null ? '' : stampScript(clientId));
      if (clientId === null) this.clientIds.delete(client);
      else this.clientIds.set(client, clientId);
      return this.site(client).script(script);
    });
    this.writeClientIds();
    await Promise.all(scripts);
  }

  /** The clientid of a client, or null. */
  clientId(client: number): string | null {
    return this.clientIds.get(client) ?? null;
  }

  /** Ends all sessions on both sides; no client tries to make a new one. */
  async forgetAll(): Promise<void> {
    const clients = [...this.clientKeys].map(
      ([client, key]) => [clientInterface(client), clientConfiguration(key, null, pathOf(client))] as const,
    );
    await configureInterfaces(new Map(clients));
    const configuration = serverConfiguration(this.serverKey, this.clientKeys);
    await configureInterfaces(
      new Map(this.sites.servers.map(({ number }) => [serverInterface(number), configuration])),
    );
  }

  /** Lets clients make new sessions; resolves when each has had its handshake. */
  async connect(clients: readonly number[], path: Partial<ClientPath> = {}): Promise<void> {
    await configureInterfaces(
      new Map(
        clients.map((client) => [
          clientInterface(client),
          clientConfiguration(this.keyOf(client), this.serverPublicKey, { ...pathOf(client), ...path }),
        ]),
      ),
    );
    await waitUntil(
      `handshakes of ${clients.length} clients`,
      async () => {
        const readings = await this.read(clients);
        return clients.every((client) => (readings.get(client)?.latestHandshake ?? 0) > 0);
      },
      HANDSHAKES_MS,
    );
  }

  /** What both ends say about the tunnels of these clients. */
  async read(clients: readonly number[]): Promise<ReadonlyMap<number, TunnelReading>> {
    const peers = await readAllPeers();
    return new Map(
      clients.map((client) => {
        const { publicKey } = this.keyOf(client);
        const sessions = this.sites.servers.flatMap(({ number }) => {
          const peer = peers.get(serverInterface(number))?.find((one) => one.publicKey === publicKey);
          return peer === undefined || peer.latestHandshake === 0 ? [] : [{ number, ...peer }];
        });
        const reading: TunnelReading = {
          latestHandshake: peers.get(clientInterface(client))?.[0]?.latestHandshake ?? 0,
          servers: sessions.map(({ number }) => number),
          endpoints: sessions.flatMap(({ endpoint }) => endpoint ?? []),
        };
        return [client, reading];
      }),
    );
  }

  private site(client: number): Site {
    const site = this.sites.clients[client - 1];
    if (site === undefined) throw new TestbedError(`there is no client ${client}`);
    return site;
  }

  private keyOf(client: number): KeyPair {
    const key = this.clientKeys.get(client);
    if (key === undefined) throw new TestbedError(`client ${client} has no tunnel`);
    return key;
  }

  /** All servers read the same file, as they would ask the same authentication server. */
  private get clientIdsFile(): string {
    return this.sites.servers[0].file('clientids');
  }

  private writeClientIds(): void {
    const text = [...this.clientIds]
      .map(([client, id]) => `${this.keyOf(client).publicKey} ${id}\n`)
      .join('');
    replaceFile(this.clientIdsFile, text);
  }
}

const pathOf = (client: number): ClientPath => ({ family: 4, port: firstPort(client) });

const tunnelsBySites = new WeakMap<Sites, Tunnels>();

/** {@link Tunnels.start} for a data center in the making; found again with {@link tunnelsOf}. */
export async function startTunnels(sites: Sites, sessionsFile: (server: string) => string): Promise<void> {
  tunnelsBySites.set(sites, await Tunnels.start(sites, sessionsFile));
}

/** @throws {TestbedError} when this data center has no tunnels */
export function tunnelsOf({ sites }: Pick<DataCenter, 'sites'>): Tunnels {
  const tunnels = tunnelsBySites.get(sites);
  if (tunnels === undefined) throw new TestbedError('this data center has no tunnels');
  return tunnels;
}

async function startServer(site: Site, clientIds: string, sessionsFile: string): Promise<void> {
  const name = serverInterface(site.number);
  await startInterface(site, name);
  const { peer } = serverLink(site.number);
  await site.script(
    ipBatch([
      `addr add ${TUNNEL_SERVER[4]}/16 dev ${name}`,
      `addr add ${TUNNEL_SERVER[6]}/64 dev ${name} nodad`,
      `link set ${name} up`,
      // When WireGuard forgets on which address a client spoke to it, it leaves the choice to the kernel; IPv6 wants
      // that to be an address of its own, not one out of a local range.
      `addr add ${vip(1, 6)}/128 dev lo nodad`,
      `route replace default via ${peer[4]} mtu 1500 advmss 1460 src ${vip(1, 4)}`,
      `route replace default via ${peer[6]} mtu 1500 advmss 1440 src ${vip(1, 6)}`,
    ]),
  );
  const options: PublisherOptions = {
    interface: name,
    file: sessionsFile,
    clientIds,
    vips: [vip(1, 4), vip(1, 6)],
    port: WIREGUARD_PORT,
  };
  await site.startRole('sessions', 'wireguard-sessions', JSON.stringify(options)).ready();
}

async function startClient(site: Site): Promise<void> {
  const name = clientInterface(site.number);
  await startInterface(site, name);
  const own = tunnelAddress(site.number);
  await site.script(
    ipBatch([
      `addr add ${own[4]}/16 dev ${name}`,
      `addr add ${own[6]}/64 dev ${name} nodad`,
      `link set ${name} up`,
    ]),
  );
}
