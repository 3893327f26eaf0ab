import { parseIpv4 } from '../../../table/address.js';
import { drain as drainTable } from '../../../table/edit.js';
import { dipOf, serverName } from '../../addresses.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { clientIdFor, freshSessions, NEWCOMER, ROAMERS, TRAFFICSET } from './sessions.js';
import { judgeChange, throughChange } from './table-change.js';

const DRAINED = 1;

/** With switched roles, a drained server stays first hop, and keeps what it holds; the rest goes on to its heirs. */
export const drain: Scenario = {
  name: 'drain',
  title: `Drain: ${serverName(DRAINED)} leaves while it holds sessions`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const tunnels = tunnelsOf(dataCenter);
    const full = fleet.tableOf(TRAFFICSET);
    const name = serverName(DRAINED);
    await freshSessions(dataCenter, tunnels, ROAMERS);
    const seen = await throughChange(dataCenter, tunnels, {
      table: drainTable(full, parseIpv4(dipOf(DRAINED)), { keepSecondHop: true, roles: 'udp' }),
      newcomersId: clientIdFor(full, DRAINED, 'first'),
    });
    await tunnels.forgetAll();
    await tunnels.assignClientIds(new Map([[NEWCOMER, null]]));
    await fleet.restore(full);

    const judgement = new Judgement();
    judgeChange(judgement, seen);
    judgement.expect((seen.servers[name] ?? 0) > 0, `no session was on ${name}`);
    judgement.expect(seen.newcomerOn !== name, `a new client still landed on ${name}`);
    judgement.expect(seen.newcomerOn !== null, 'a new client got no answer');
    judgement.expect(seen.redirected > 0, 'no packet took the second hop');
    return judgement.finding(
      [
        `${ROAMERS.length} sessions, ${seen.servers[name] ?? 0} of them on ${name}: ${seen.broken.size} broken`,
        `${seen.downloads} downloads went on: ${seen.downloadFailures.length} broken`,
        `a new client of ${name}'s buckets lands on ${seen.newcomerOn}, at the second hop`,
        `${seen.astray} packets of these sessions reached a server that does not hold them`,
      ],
      {
        sessions: ROAMERS.length,
        onDrained: seen.servers[name] ?? 0,
        broken: seen.broken.size,
        downloadsBroken: seen.downloadFailures.length,
        newcomerOn: seen.newcomerOn ?? '',
        astray: seen.astray,
        redirected: seen.redirected,
      },
    );
  },
};
