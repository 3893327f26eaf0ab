import { serverOf } from '../addresses.js';
import { since } from '../counters.js';
import { bucketOf } from '../owner.js';
import { listed, openNew, sampleOf, tally } from './connections.js';
import { countPackets } from './packets.js';
import { Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 300;

/** New connections from everywhere: each is answered by the server that the forwarding table names. */
export const spread: Scenario = {
  name: 'spread',
  title: `Spread: ${CONNECTIONS} new connections`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const before = await countPackets(fleet);
    const attempts = await openNew(dataCenter, CONNECTIONS);
    const packets = since(before, await countPackets(fleet));

    const failed = attempts.filter(({ error }) => error !== null);
    const astray = attempts.filter(({ local, remote, server }) => {
      if (local === null || server === null) return false;
      return server !== serverOf(fleet.table.firstHop(bucketOf(fleet.table, { local, remote })));
    });
    const servers = tally(attempts.flatMap(({ server }) => server ?? []));

    const judgement = new Judgement();
    judgement.expect(failed.length === 0, `${failed.length} failed: ${sampleOf(failed)}`);
    judgement.expect(
      astray.length === 0,
      `${astray.length} were answered by another server than the table names`,
    );
    judgement.expect(
      Object.keys(servers).length === dataCenter.spec.servers,
      `only ${Object.keys(servers).join(', ')} answered`,
    );
    judgement.expect(packets.forwarded > 0, 'no packet entered at a server that did not own it');
    return judgement.finding(
      [
        `${attempts.length - failed.length} answered, ${attempts.length - failed.length - astray.length} by the server that the table names`,
        listed(servers),
        `${packets.forwarded} of ${packets.forwarded + packets.atOwner} packets entered elsewhere and were forwarded`,
      ],
      {
        connections: attempts.length,
        failed: failed.length,
        astray: astray.length,
        servers,
        forwarded: packets.forwarded,
        atOwner: packets.atOwner,
      },
    );
  },
};
