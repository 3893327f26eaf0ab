import { FAMILIES, serverOf } from '../../addresses.js';
import { since } from '../../counters.js';
import { bucketOf } from '../../owner.js';
import { CONFIGURATION_NAMES } from '../../quic/configurations.js';
import { QUIC_TRAFFICSETS } from '../../quic/trafficsets.js';
import { listed, tally } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { Exchanges, type Fate } from './exchanges.js';
import { brokenOf, byWay, configurationsUsed, namesItsServer } from './fates.js';
import { countPackets, judgeStrays } from './packets.js';

const PER_CLIENT = 12;
/** Of so many servers each gets a connection, but for one run in 200,000; of more, as many get one. */
const ALL_OF = 4;

/** New connections: a handshake goes by the 4-tuple, and what follows by the server's connection ID, to one server. */
export const handshakes: Scenario = {
  name: 'handshakes',
  title: `Handshakes: ${2 * PER_CLIENT} new connections, and as many by 4-tuple`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const before = await countPackets(dataCenter);
    const exchanges = await Exchanges.start(dataCenter, {
      exchange: 'question',
      perClient: PER_CLIENT,
      families: FAMILIES,
    });
    const fates = await exchanges.finish();
    const packets = since(before, await countPackets(dataCenter));
    const strays = packets.strays['connection id'];

    const byId = byWay(fates, 'connection id');
    const astray = byId.filter(({ connection, server, way }) => {
      if (connection === null || server === null) return false;
      const table = fleet.tableOf(QUIC_TRAFFICSETS[way]);
      const tuple = { local: connection.peers[0], remote: connection.local };
      return server !== serverOf(table.firstHop(bucketOf(table, tuple)));
    });
    const servers = tally(fates.flatMap(({ server }) => server ?? []));
    const configurations = configurationsUsed(byId);

    const judgement = new Judgement();
    const broken = brokenOf(fates);
    judgement.expect(broken.length === 0, `${broken.length} failed: ${broken.map(said).join('; ')}`);
    judgement.expect(
      astray.length === 0,
      `${astray.length} were answered by another server than the table names`,
    );
    judgeStrays(judgement, strays);
    judgement.expect(byId.every(namesItsServer), 'a server issued a connection ID that does not name it');
    judgement.expect(
      Object.keys(servers).length >= Math.min(dataCenter.spec.servers, ALL_OF),
      `only ${Object.keys(servers).join(', ')} answered`,
    );
    judgement.expect(
      CONFIGURATION_NAMES.every((name) => configurations[name] > 0),
      `not every configuration was in use: ${listed(configurations)}`,
    );
    return judgement.finding(
      [
        `${fates.length - broken.length} of ${fates.length} completed; ${listed(servers)}`,
        `QUIC-LB IDs: ${listed(configurations)}`,
        `${packets.named} packets named their server, ${packets.unnamed} went by their 4-tuple; ${strays} reached a server that did not know them`,
      ],
      {
        connections: fates.length,
        broken: broken.length,
        astray: astray.length,
        named: packets.named,
        unnamed: packets.unnamed,
        strays,
        servers,
        configurations,
      },
    );
  },
};

const said = ({ client, way, broken }: Fate): string => `c${client} by ${way}: ${broken}`;
