import { type Family, serverName } from '../../addresses.js';
import { since } from '../../counters.js';
import type { DataCenter } from '../../data-center.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import {
  baselinesOf,
  brokenSessions,
  countSessionPackets,
  freshSessions,
  NARROW_CLIENT,
  type SessionPackets,
} from './sessions.js';

/** What became of the one session of the client with the narrow link. */
export interface NarrowSession<Transfer> {
  readonly family: Family;
  /** Which holds the session. */
  readonly server: string;
  /** Why the session did not stay, or null. */
  readonly session: string | null;
  readonly packets: SessionPackets;
  readonly transfer: Transfer;
}

/**
 * Makes the session anew over this family, and a transfer in it. Meanwhile the router leaves out the server that holds
 * it: by chance everything might enter there, and nobody would have to find the way.
 * @param transfer is told which server holds the session
 */
export async function enteringElsewhere<Transfer>(
  dataCenter: DataCenter,
  family: Family,
  transfer: (holder: string) => Promise<Transfer>,
): Promise<NarrowSession<Transfer>> {
  const { network } = dataCenter;
  const fleet = dataCenter.requireFleet();
  const tunnels = tunnelsOf(dataCenter);
  await freshSessions(dataCenter, tunnels, [NARROW_CLIENT], { family });
  const baselines = await baselinesOf(tunnels, [NARROW_CLIENT]);
  const holder = baselines.get(NARROW_CLIENT)?.server ?? 0;
  const original = network.ecmp;
  await network.setEcmp({ servers: original.servers.filter((server) => server !== holder) });
  const before = await countSessionPackets(fleet);
  const seen = await transfer(serverName(holder));
  const broken = await brokenSessions(tunnels, baselines);
  const packets = since(before, await countSessionPackets(fleet));
  await network.setEcmp(original);
  return {
    family,
    server: serverName(holder),
    session: broken.get(NARROW_CLIENT) ?? null,
    packets,
    transfer: seen,
  };
}
