import { parseIpv4 } from '../../../table/address.js';
import { addServer, clearSecondHops, drain } from '../../../table/edit.js';
import { dipOf, FAMILIES, serverName } from '../../addresses.js';
import { since } from '../../counters.js';
import type { Fleet } from '../../fleet.js';
import { dnsVip } from '../../name-server.js';
import { waitUntil } from '../../wait.js';
import { listed } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { deliveries, total } from './deliveries.js';
import { DnsLoad } from './dnsperf.js';

const DRAINED = 2;
/** Asked for in each family; a machine that is busy may not come to so many. */
const PER_SECOND = 500;
/** Queries that are watched in each state of the table. */
const WATCHED = 800;
/** Queries that may pass after a change, for those that were on their way. */
const ON_THEIR_WAY = 500;
/** Without flows there is nothing to keep: a server leaves in one step, and comes back in one. */
export const dnsDrain: Scenario = {
  name: 'dns-drain',
  title: `DNS drain: ${serverName(DRAINED)} leaves and comes back, under queries all the while`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const { clients } = dataCenter.sites;
    const name = serverName(DRAINED);
    const dip = parseIpv4(dipOf(DRAINED));
    const full = fleet.tableOf('dns');
    const loads = FAMILIES.map((family, index) =>
      DnsLoad.start({ client: clients[index], address: dnsVip(family) }, PER_SECOND),
    );
    const before = await watch(fleet, WATCHED);

    const without = drain(full, dip, { keepSecondHop: false });
    await fleet.publish(without);
    await watch(fleet, ON_THEIR_WAY);
    const gone = await watch(fleet, WATCHED);
    await fleet.publish(clearSecondHops(addServer(without, dip)));
    await watch(fleet, ON_THEIR_WAY);
    const back = await watch(fleet, WATCHED);
    const reports = await Promise.all(loads.map((load) => load.stop()));
    await fleet.restore(full);

    const sent = reports.reduce((sum, report) => sum + report.sent, 0);
    const lost = reports.map((report) => report.sent - report.answered);
    const judgement = new Judgement();
    judgement.expect(before[name] > 0, `${name} was not asked before it left`);
    judgement.expect(gone[name] === 0, `${name} was asked ${gone[name]} times after it had left`);
    judgement.expect(back[name] > 0, `${name} was not asked after it had come back`);
    judgement.expect(
      lost.every((count) => count === 0),
      `lost: ${lost[0]} queries over IPv4, ${lost[1]} over IPv6`,
    );
    return judgement.finding(
      [
        `${sent} queries, half of them over IPv6: ${lost[0] + lost[1]} lost`,
        `before: ${listed(before)}`,
        `without ${name}: ${listed(gone)}`,
        `with it again: ${listed(back)}`,
      ],
      { sent, lostIpv4: lost[0], lostIpv6: lost[1], before, without: gone, after: back },
    );
  },
};

/** Waits until the servers were asked `count` times more. @returns how often each was */
async function watch(fleet: Fleet, count: number): Promise<Readonly<Record<string, number>>> {
  const before = await deliveries(fleet, 'dns');
  let seen = before;
  await waitUntil(
    `${count} more queries`,
    async () => {
      seen = since(before, await deliveries(fleet, 'dns'));
      return total(seen) >= count;
    },
    60_000,
  );
  return seen;
}
