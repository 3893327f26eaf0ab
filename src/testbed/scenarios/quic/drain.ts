import { parseIpv4 } from '../../../table/address.js';
import { drain as drainTable } from '../../../table/edit.js';
import { dipOf, FAMILIES } from '../../addresses.js';
import { since } from '../../counters.js';
import { WAYS } from '../../quic/plan.js';
import { QUIC_TRAFFICSETS } from '../../quic/trafficsets.js';
import { listed, tally } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { Exchanges, type ServedExchange } from './exchanges.js';
import { brokenOf, byWay, judgeBoth, lossOf } from './fates.js';
import { countPackets, judgeStrays, packetLine } from './packets.js';

const PER_CLIENT = 6;
const NEW_PER_CLIENT = 6;

/** A server leaves the first hops: its connections stay, since their IDs go on naming it; new ones go elsewhere. */
export const drain: Scenario = {
  name: 'drain',
  title: `Drain: a server leaves under ${2 * PER_CLIENT} uploads, and as many by 4-tuple`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const full = WAYS.map((way) => fleet.tableOf(QUIC_TRAFFICSETS[way]));
    const uploads = await Exchanges.start(dataCenter, {
      exchange: 'upload',
      perClient: PER_CLIENT,
      families: FAMILIES,
    });
    await uploads.allInProgress();
    const atDrain = await uploads.look();
    const name = busiest(atDrain);
    const before = await countPackets(dataCenter);
    const dip = parseIpv4(dipOf(Number(name.slice(1))));
    for (const table of full) await fleet.publish(drainTable(table, dip, { keepSecondHop: true }));

    const newcomers = await Exchanges.start(dataCenter, {
      exchange: 'question',
      perClient: NEW_PER_CLIENT,
      families: FAMILIES,
    });
    const newFates = byWay(await newcomers.finish(), 'connection id');
    const fates = await uploads.finish();
    const packets = since(before, await countPackets(dataCenter));
    for (const table of full) await fleet.restore(table);

    const atDrainById = byWay(atDrain, 'connection id');
    const byId = byWay(fates, 'connection id');
    const byTuple = byWay(fates, '4-tuple');
    const onDrained = atDrainById.filter(({ server }) => server === name).length;
    const inProgress = atDrainById.filter(
      ({ connection }) => connection !== null && connection.digest === null,
    ).length;
    const newFailed = brokenOf(newFates);
    const servers = tally(newFates.flatMap(({ server }) => server ?? []));

    const judgement = new Judgement();
    judgeBoth(judgement, byId, byTuple);
    judgement.expect(onDrained > 0, `no upload was on ${name}`);
    judgement.expect(
      inProgress === byId.length,
      `only ${inProgress} were in progress when the table changed`,
    );
    judgement.expect(newFailed.length === 0, `${newFailed.length} new connections failed`);
    judgement.expect(servers[name] === undefined, `${servers[name]} new connections went to ${name}`);
    judgeStrays(judgement, packets.strays['connection id']);
    return judgement.finding(
      [
        `by connection ID: ${lossOf(byId)} (${onDrained} on ${name})`,
        `${newFates.length} new ones: ${listed(servers)}`,
        `by 4-tuple: ${lossOf(byTuple)}`,
        packetLine(packets),
      ],
      {
        connections: byId.length,
        onDrained,
        broken: brokenOf(byId).length,
        brokenByTuple: brokenOf(byTuple).length,
        newConnections: newFates.length,
        newFailed: newFailed.length,
        newServers: servers,
        named: packets.named,
        strays: packets.strays['connection id'],
        straysByTuple: packets.strays['4-tuple'],
      },
    );
  },
};

/** The server with most connections of either way, so that both have something to lose. */
function busiest(exchanges: readonly ServedExchange[]): string {
  const counts = WAYS.map((way) => tally(byWay(exchanges, way).flatMap(({ server }) => server ?? [])));
  const least = (server: string): number => Math.min(...counts.map((count) => count[server] ?? 0));
  return Object.keys(counts[0]).reduce((best, server) => (least(server) > least(best) ? server : best));
}
