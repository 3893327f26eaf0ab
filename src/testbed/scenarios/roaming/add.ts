import { parseIpv4 } from '../../../table/address.js';
import { addServer, drain as drainTable } from '../../../table/edit.js';
import { dipOf, serverName } from '../../addresses.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { clientIdFor, freshSessions, ROAMERS, TRAFFICSET } from './sessions.js';
import { findingOf, throughChange } from './table-change.js';

/** With switched roles, a new server becomes second hop: it gets what those before it do not hold. */
export const add: Scenario = {
  name: 'add',
  title: 'Add: a server comes while all others hold sessions',
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const tunnels = tunnelsOf(dataCenter);
    const full = fleet.tableOf(TRAFFICSET);
    const added = dataCenter.spec.servers;
    const dip = parseIpv4(dipOf(added));
    const name = serverName(added);

    await tunnels.forgetAll();
    await fleet.publish(drainTable(full, dip, { keepSecondHop: false, roles: 'udp' }));
    await freshSessions(dataCenter, tunnels, ROAMERS);
    const withNew = addServer(fleet.tableOf(TRAFFICSET), dip, 0, 'udp');
    const seen = await throughChange(dataCenter, tunnels, {
      original: full,
      table: withNew,
      newcomersId: clientIdFor(withNew, added, 'second'),
    });

    const judgement = new Judgement();
    judgement.expect(seen.servers[name] === undefined, `${name} had sessions before it was added`);
    judgement.expect(
      seen.newcomerOn === name,
      `a new client of its buckets landed on ${seen.newcomerOn ?? 'nobody'}, not on ${name}`,
    );
    return findingOf(judgement, seen, { name, sessions: `${ROAMERS.length} sessions on the other servers` });
  },
};
