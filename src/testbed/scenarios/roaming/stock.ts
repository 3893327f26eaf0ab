import { parseIpv4 } from '../../../table/address.js';
import type { ForwardingTable } from '../../../table/forwarding-table.js';
import { clientLink, clientName, dipOf, type Family, serverName, vip } from '../../addresses.js';
import { since } from '../../counters.js';
import { TestbedError } from '../../errors.js';
import { bucketOf } from '../../owner.js';
import { TunnelDownload } from '../../wireguard/downloads.js';
import { WIREGUARD_PORT } from '../../wireguard/plan.js';
import { whoAnswers } from '../../wireguard/probes.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { countSessionPackets, freshSessions, PATIENCE_S, STOCK_CLIENT, TRAFFICSET } from './sessions.js';

const BYTES = 200_000;
const STALL_MS = 10_000;

/** A client that was never given a clientid sends zeros: its 4-tuple has to name its server. */
export const stock: Scenario = {
  name: 'stock',
  title: `Stock client: ${clientName(STOCK_CLIENT)} sends zeros`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const tunnels = tunnelsOf(dataCenter);
    const table = fleet.tableOf(TRAFFICSET);
    const landed: string[] = [];
    const failures: string[] = [];
    let right = 0;
    let astray = 0;
    // A port for each server, so that landing on the right one by chance would take luck every time.
    for (let server = 1; server <= dataCenter.spec.servers; server++) {
      const family: Family = server % 2 === 1 ? 4 : 6;
      const port = portFor(table, server, family);
      await freshSessions(dataCenter, tunnels, [STOCK_CLIENT], { family, port });
      const before = await countSessionPackets(fleet);
      const answers = await whoAnswers([STOCK_CLIENT], 4, PATIENCE_S);
      const [download] = await TunnelDownload.startAll([STOCK_CLIENT], BYTES);
      const outcome = await download.finish(STALL_MS);
      if (outcome !== null) failures.push(outcome);
      astray += since(before, await countSessionPackets(fleet)).astray;
      const answer = answers.get(STOCK_CLIENT) ?? 'nobody';
      landed.push(answer);
      if (answer === serverName(server)) right++;
      else {
        failures.push(`port ${port} over IPv${family} names ${serverName(server)}, but ${answer} answers`);
      }
    }
    const judgement = new Judgement();
    judgement.expect(failures.length === 0, failures.join('; '));
    judgement.expect(astray === 0, `${astray} packets reached a server that does not hold their session`);
    return judgement.finding(
      [
        `${right} of ${landed.length} source ports, IPv4 and IPv6, on the server that their 4-tuple names (${landed.join(', ')})`,
        `${astray} packets reached a server that does not hold their session`,
      ],
      { sessions: landed.length, servers: landed, astray, failed: failures.length },
    );
  },
};

/** A port from which the client's 4-tuple belongs to this server. */
function portFor(table: ForwardingTable, server: number, family: Family): number {
  const address = clientLink(STOCK_CLIENT).own[family];
  const remote = { address: vip(1, family), port: WIREGUARD_PORT };
  const dip = parseIpv4(dipOf(server));
  for (let port = 40_000; port < 50_000; port++) {
    if (table.firstHop(bucketOf(table, { local: { address, port }, remote })) === dip) return port;
  }
  throw new TestbedError(`no port of ${address} belongs to ${serverName(server)}`);
}
