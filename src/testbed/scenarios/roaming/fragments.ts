import { clientName, type Family, serverName } from '../../addresses.js';
import type { DataCenter } from '../../data-center.js';
import { fragmentCounts } from '../../wireguard/ip-counters.js';
import { type Tunnels, tunnelsOf } from '../../wireguard/tunnels.js';
import { uploadThroughTunnel } from '../../wireguard/upload.js';
import { Judgement, type Scenario } from '../scenario.js';
import {
  baselinesOf,
  brokenSessions,
  countSessionPackets,
  freshSessions,
  NARROW_CLIENT,
  since,
} from './sessions.js';

/** The least that IPv6 allows. What fits into the tunnel does not fit into this. */
const NARROW_MTU = 1280;
const NORMAL_MTU = 1500;
const BYTES = 300_000;
const PATIENCE_S = 30;
const FAMILIES: readonly Family[] = [4, 6];

/** Only the first fragment of a datagram has the clientid, and the ports: the others have to follow it. */
export const fragments: Scenario = {
  name: 'fragments',
  title: `Fragments: the own link of ${clientName(NARROW_CLIENT)} takes ${NARROW_MTU} bytes`,
  async run(dataCenter) {
    const { network } = dataCenter;
    const tunnels = tunnelsOf(dataCenter);
    await network.setClientMtu(NARROW_CLIENT, NARROW_MTU);
    const seen: Seen[] = [];
    for (const family of FAMILIES) seen.push(await uploadInFragments(dataCenter, tunnels, family));
    await network.setClientMtu(NARROW_CLIENT, NORMAL_MTU);

    const judgement = new Judgement();
    for (const { family, server, upload, session, made, reassembled, astray } of seen) {
      judgement.expect(upload === null, `the upload over IPv${family} failed: ${upload}`);
      judgement.expect(session === null, `the session over IPv${family} did not stay: ${session}`);
      judgement.expect(made > 0, `the client made no fragments over IPv${family}`);
      judgement.expect(reassembled > 0, `${server} put no fragments together over IPv${family}`);
      judgement.expect(
        astray === 0,
        `${astray} packets over IPv${family} reached a server that does not hold their session`,
      );
    }
    return judgement.finding(
      seen.map(
        ({ family, server, upload, made, reassembled }) =>
          `IPv${family}: ${made} fragments sent, ${reassembled} datagrams put together on ${server}; upload ${upload === null ? 'completed' : 'failed'}`,
      ),
      {
        fragments: seen.reduce((sum, { made }) => sum + made, 0),
        reassembled: seen.reduce((sum, { reassembled }) => sum + reassembled, 0),
        failed: seen.filter(({ upload }) => upload !== null).length,
      },
    );
  },
};

interface Seen {
  readonly family: Family;
  /** Which holds the session. */
  readonly server: string;
  /** What went wrong, or null. */
  readonly upload: string | null;
  readonly session: string | null;
  readonly made: number;
  readonly reassembled: number;
  readonly astray: number;
}

async function uploadInFragments(dataCenter: DataCenter, tunnels: Tunnels, family: Family): Promise<Seen> {
  const fleet = dataCenter.requireFleet();
  await freshSessions(dataCenter, tunnels, [NARROW_CLIENT], { family });
  const baselines = await baselinesOf(tunnels, [NARROW_CLIENT]);
  const server = serverName(baselines.get(NARROW_CLIENT)?.server ?? 0);
  const before = {
    client: await fragmentCounts(clientName(NARROW_CLIENT), family),
    server: await fragmentCounts(server, family),
    packets: await countSessionPackets(fleet),
  };
  const upload = await uploadThroughTunnel(NARROW_CLIENT, BYTES, PATIENCE_S);
  const broken = await brokenSessions(tunnels, baselines);
  const after = {
    client: await fragmentCounts(clientName(NARROW_CLIENT), family),
    server: await fragmentCounts(server, family),
    packets: await countSessionPackets(fleet),
  };
  return {
    family,
    server,
    upload,
    session: broken.get(NARROW_CLIENT) ?? null,
    made: after.client.made - before.client.made,
    reassembled: after.server.reassembled - before.server.reassembled,
    astray: since(before.packets, after.packets).astray,
  };
}
