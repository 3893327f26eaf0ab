import { clientLink, clientName, type Family, serverName, vip } from '../../addresses.js';
import { since } from '../../counters.js';
import { portFor } from '../../owner.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
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
      const port = portFor(table, server, {
        address: clientLink(STOCK_CLIENT).own[family],
        first: 40_000,
        remote: { address: vip(1, family), port: WIREGUARD_PORT },
      });
      await freshSessions(dataCenter, tunnels, [STOCK_CLIENT], { family, port });
      const before = await countSessionPackets(fleet);
      const answers = await whoAnswers([STOCK_CLIENT], 4, PATIENCE_S);
      const [download] = await downloadThroughTunnels([STOCK_CLIENT], BYTES);
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
