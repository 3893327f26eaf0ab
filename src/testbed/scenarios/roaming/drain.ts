import { parseIpv4 } from '../../../table/address.js';
import { drain as drainTable } from '../../../table/edit.js';
import { dipOf, serverName } from '../../addresses.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { clientIdFor, freshSessions, ROAMERS, TRAFFICSET } from './sessions.js';
import { findingOf, throughChange } from './table-change.js';

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
      original: full,
      table: drainTable(full, parseIpv4(dipOf(DRAINED)), { keepSecondHop: true, roles: 'udp' }),
      newcomersId: clientIdFor(full, DRAINED, 'first'),
    });

    const onDrained = seen.servers[name] ?? 0;
    const judgement = new Judgement();
    judgement.expect(onDrained > 0, `no session was on ${name}`);
    judgement.expect(seen.newcomerOn !== name, `a new client still landed on ${name}`);
    judgement.expect(seen.newcomerOn !== null, 'a new client got no answer');
    return findingOf(judgement, seen, {
      name,
      sessions: `${ROAMERS.length} sessions, ${onDrained} of them on ${name}`,
      figures: { onDrained },
    });
  },
};
