import { randomInt } from 'node:crypto';
import { parseIpv4 } from '../../../table/address.js';
import type { ForwardingTable } from '../../../table/forwarding-table.js';
import { dipOf, serverName, serverOf } from '../../addresses.js';
import type { DataCenter } from '../../data-center.js';
import { TestbedError } from '../../errors.js';
import type { Fleet } from '../../fleet.js';
import { bucketOfKey } from '../../owner.js';
import { waitUntil } from '../../wait.js';
import type { ClientPath } from '../../wireguard/configuration.js';
import { whoIsReached } from '../../wireguard/probes.js';
import type { Tunnels } from '../../wireguard/tunnels.js';

/** What the scenarios of the roaming suite have in common: who takes part, and how a session is watched. */

export const TRAFFICSET = 'warp';

/** Clients by number. */
export const ROAMERS: readonly number[] = Array.from({ length: 20 }, (_, index) => index + 1);
/** Without a clientid, for ever. */
export const STOCK_CLIENT = 21;
/** Comes when the table has changed. */
export const NEWCOMER = 22;
/** Behind an access router. */
export const NARROW_CLIENT = 23;

/** Packets of sessions, counted by the nodes. */
export interface SessionPackets {
  /** Taken in by a server that holds the session. */
  readonly atHolder: number;
  /** Taken in by a server that does not hold the session, for want of another. */
  readonly astray: number;
  /** Came from the router to another server than their first hop. */
  readonly forwarded: number;
  /** Sent on from the first hop to the second. */
  readonly redirected: number;
}

export async function countSessionPackets(fleet: Fleet): Promise<SessionPackets> {
  const metrics = await fleet.allMetrics();
  const packets = (verdict: string): number =>
    metrics.sum('twohop_packets_total', { trafficset: TRAFFICSET, verdict });
  return {
    atHolder: packets('accept_session'),
    astray: packets('accept_last_hop'),
    forwarded: packets('forward'),
    redirected: packets('redirect'),
  };
}

/** Ends all sessions and makes one for each of these clients; resolves when every node knows its server's. */
export async function freshSessions(
  dataCenter: DataCenter,
  tunnels: Tunnels,
  clients: readonly number[],
  path: Partial<ClientPath> = {},
): Promise<void> {
  const fleet = dataCenter.requireFleet();
  await tunnels.forgetAll();
  await waitForSessions(fleet, 0);
  await tunnels.connect(clients, path);
  await waitForSessions(fleet, clients.length);
}

/** Waits until the nodes together know of so many sessions. */
export async function waitForSessions(fleet: Fleet, count: number): Promise<void> {
  await waitUntil(`the nodes to know of ${count} sessions`, async () => {
    const metrics = await fleet.allMetrics();
    return metrics.sum('twohop_sessions', { trafficset: TRAFFICSET }) === count;
  });
}

/** A session as it was when a scenario began. */
export interface Baseline {
  /** The server that holds it, by number. */
  readonly server: number;
  /** Seconds since 1970. */
  readonly handshake: number;
}

/** The sessions of these clients. @throws {TestbedError} when a client has none, or one with several servers */
export async function baselinesOf(
  tunnels: Tunnels,
  clients: readonly number[],
): Promise<ReadonlyMap<number, Baseline>> {
  const readings = await tunnels.read(clients);
  return new Map(
    clients.map((client) => {
      const { latestHandshake = 0, servers = [] } = readings.get(client) ?? {};
      const [server, ...others] = servers;
      if (server === undefined || others.length > 0) {
        throw new TestbedError(`client ${client} has sessions with ${servers.length} servers, not with one`);
      }
      return [client, { server, handshake: latestHandshake }];
    }),
  );
}

/** Seconds until a tunnel that should work counts as broken. */
export const PATIENCE_S = 10;
/** Seconds after which WireGuard renews keys of its own accord (REKEY_AFTER_TIME), less what rounding can hide. */
const REKEY_S = 119;

/**
 * Why a session did not survive, by client; those that did are not in it. Whatever answers a ping had the keys of the
 * session: it is the same one when there was no handshake since.
 */
export async function brokenSessions(
  tunnels: Tunnels,
  baselines: ReadonlyMap<number, Baseline>,
  patienceS: number = PATIENCE_S,
): Promise<ReadonlyMap<number, string>> {
  const clients = [...baselines.keys()];
  const reached = new Set(await whoIsReached(clients, 4, patienceS));
  const readings = await tunnels.read(clients);
  const broken = new Map<number, string>();
  for (const [client, { server, handshake }] of baselines) {
    const { latestHandshake = 0, servers = [] } = readings.get(client) ?? {};
    const later = latestHandshake - handshake;
    if (!reached.has(client)) broken.set(client, 'no answer');
    else if (servers.some((other) => other !== server)) broken.set(client, 'moved to another server');
    else if (later > 0 && later < REKEY_S) broken.set(client, 'a new handshake');
  }
  return broken;
}

/** A random clientid that the table gives to this server, as first hop or as second. */
export function clientIdFor(table: ForwardingTable, server: number, hop: 'first' | 'second'): string {
  const dip = parseIpv4(dipOf(server));
  for (let tries = 0; tries < 100_000; tries++) {
    const id = randomInt(1, 1 << 24)
      .toString(16)
      .padStart(6, '0');
    const bucket = bucketOfId(table, id);
    if ((hop === 'first' ? table.firstHop(bucket) : table.secondHop(bucket)) === dip) return id;
  }
  throw new TestbedError(`${serverName(server)} is ${hop} hop of no clientid`);
}

/** The server that the table names for new sessions with this clientid, as long as it has one hop for them. */
export function ownerOfId(table: ForwardingTable, clientId: string): string {
  return serverOf(table.firstHop(bucketOfId(table, clientId)));
}

function bucketOfId(table: ForwardingTable, clientId: string): number {
  return bucketOfKey(table, Buffer.from(clientId, 'hex'));
}
