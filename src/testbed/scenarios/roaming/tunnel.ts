import { FAMILIES } from '../../addresses.js';
import { since } from '../../counters.js';
import type { DataCenter } from '../../data-center.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
import { whoAnswers, whoIsReached } from '../../wireguard/probes.js';
import { checksumNeutralId } from '../../wireguard/stamp.js';
import { type Tunnels, tunnelsOf } from '../../wireguard/tunnels.js';
import { listed, tally } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import {
  clientIdFor,
  countSessionPackets,
  freshSessions,
  NARROW_CLIENT,
  ownerOfId,
  PATIENCE_S,
  ROAMERS,
  TRAFFICSET,
} from './sessions.js';

const BYTES = 300_000;
const STALL_MS = 10_000;

/** Clients get their clientids, as from an authentication server, and use their tunnels. */
export const tunnel: Scenario = {
  name: 'tunnel',
  title: `Tunnel: ${ROAMERS.length} WireGuard clients, one public key, one VIP`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const tunnels = tunnelsOf(dataCenter);
    await assignClientIds(dataCenter, tunnels);
    const before = await countSessionPackets(fleet);
    await freshSessions(dataCenter, tunnels, ROAMERS);

    const reached: number[][] = [];
    for (const family of FAMILIES) reached.push(await whoIsReached(ROAMERS, family, PATIENCE_S));
    const answers = await whoAnswers(ROAMERS, 6, PATIENCE_S);
    const downloads = await downloadThroughTunnels(ROAMERS, BYTES);
    const outcomes = await Promise.all(downloads.map((download) => download.finish(STALL_MS)));
    const packets = since(before, await countSessionPackets(fleet));

    const failures = outcomes.flatMap((outcome) => outcome ?? []);
    const table = fleet.tableOf(TRAFFICSET);
    const astray = ROAMERS.filter((client) => {
      const named = ownerOfId(table, tunnels.clientId(client) ?? '');
      return answers.get(client) !== named;
    });
    const servers = tally(answers.values());
    const judgement = new Judgement();
    FAMILIES.forEach((family, index) => {
      const silent = ROAMERS.length - reached[index].length;
      judgement.expect(silent === 0, `${silent} tunnels did not answer a ping over IPv${family}`);
    });
    judgement.expect(astray.length === 0, `${astray.length} are not on the server that the table names`);
    judgement.expect(failures.length === 0, `${failures.length} downloads failed: ${failures[0]}`);
    judgement.expect(
      Object.keys(servers).length === dataCenter.spec.servers,
      `only ${Object.keys(servers).join(', ')} have sessions`,
    );
    judgement.expect(packets.forwarded > 0, 'no packet entered at a server that did not own it');
    judgement.expect(packets.atHolder > 0, 'no packet was taken in for a session');
    return judgement.finding(
      [
        `${ROAMERS.length} handshakes; ${reached[0].length} and ${reached[1].length} answer pings (IPv4, IPv6)`,
        `${ROAMERS.length - astray.length} of ${ROAMERS.length} on the server that their clientid names: ${listed(servers)}`,
        `${downloads.length} downloads inside: ${failures.length} failed`,
        `${packets.forwarded} packets entered elsewhere and were forwarded`,
      ],
      {
        tunnels: ROAMERS.length,
        servers,
        downloads: downloads.length,
        downloadsFailed: failures.length,
        astray: astray.length,
        forwarded: packets.forwarded,
      },
    );
  },
};

/** In turn to all servers: by chance, twenty clients would leave one of four servers out now and then. */
function assignClientIds(dataCenter: DataCenter, tunnels: Tunnels): Promise<void> {
  const table = dataCenter.requireFleet().tableOf(TRAFFICSET);
  const ids = ROAMERS.map(
    (client) => [client, clientIdFor(table, 1 + (client % dataCenter.spec.servers), 'first')] as const,
  );
  return tunnels.assignClientIds(new Map([...ids, [NARROW_CLIENT, checksumNeutralId(NARROW_CLIENT)]]));
}
