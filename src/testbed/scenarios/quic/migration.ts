import { clientLink, FAMILIES } from '../../addresses.js';
import { since } from '../../counters.js';
import { moveClient, moveClientBack } from '../../second-address.js';
import { listed } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { Exchanges } from './exchanges.js';
import {
  brokenOf,
  byWay,
  configurationOf,
  configurationsUsed,
  judgeBoth,
  lossOf,
  movedInProgress,
} from './fates.js';
import { handshakes } from './handshakes.js';
import { countPackets, judgePackets, packetLine } from './packets.js';

const PER_CLIENT = 6;
/** This client gets a new address as well; the others only a new port. */
const MOVER = 1;
/** How long after its handshake: longer on a machine where handshakes take longer, so that all are under way by then. */
const LEAST_MS = 3000;
const MOST_MS = 8000;

/** Clients move on purpose: from a new socket, and with a fresh connection ID, so that nobody on the way can follow. */
export const migration: Scenario = {
  name: 'migration',
  title: `Migration: ${2 * PER_CLIENT} clients, and as many by 4-tuple, go on from elsewhere with fresh connection IDs`,
  async run(dataCenter, earlier) {
    const handshakesTook = earlier.find(({ name }) => name === handshakes.name)?.seconds ?? 0;
    const migrateAfterMs = Math.min(Math.max(1000 * handshakesTook, LEAST_MS), MOST_MS);
    const uploads = await Exchanges.start(dataCenter, {
      exchange: 'upload',
      perClient: PER_CLIENT,
      families: FAMILIES,
      migrateAfterMs,
    });
    // Before the first of them migrates; but those that begin only now would have the new address from the start.
    await uploads.allBegun(MOVER);
    await moveClient(MOVER);
    await uploads.allInProgress();
    const before = await countPackets(dataCenter);
    await uploads.settle('connection id', ({ peers }) => peers.length === 2);
    const fates = await uploads.finish();
    const packets = since(before, await countPackets(dataCenter));
    await moveClientBack(MOVER);

    const byId = byWay(fates, 'connection id');
    const byTuple = byWay(fates, '4-tuple');
    const inProgress = byId.filter(movedInProgress).length;
    const moved = byId.filter(({ connection }) => connection?.peers.length === 2);
    const { own } = clientLink(MOVER);
    const elsewhere = moved.filter(
      ({ client, connection }) =>
        client === MOVER &&
        connection?.peers[1].address !== own[4] &&
        connection?.peers[1].address !== own[6],
    );
    const fresh = moved.filter(({ connection }) => (connection?.used.length ?? 0) >= 2);
    const rotated = fresh.filter(
      ({ connection }) => new Set(connection?.used.map(configurationOf)).size >= 2,
    );
    const configurations = configurationsUsed(byId);

    const judgement = new Judgement();
    judgeBoth(judgement, byId, byTuple);
    judgePackets(judgement, packets);
    judgement.expect(moved.length === byId.length, `only ${moved.length} migrated`);
    judgement.expect(fresh.length === byId.length, `only ${fresh.length} took a fresh connection ID`);
    judgement.expect(elsewhere.length > 0, `none of c${MOVER} had a new address`);
    judgement.expect(rotated.length > 0, 'none went over to a connection ID of another configuration');
    judgement.expect(
      inProgress === byId.length,
      `only ${inProgress} moved while their upload was in progress`,
    );
    return judgement.finding(
      [
        `by connection ID: ${lossOf(byId)}; ${moved.length} migrated, ${elsewhere.length} to a new address`,
        `${rotated.length} went to an ID of another QUIC-LB configuration (in use: ${listed(configurations)})`,
        `by 4-tuple: ${lossOf(byTuple)}`,
        packetLine(packets),
      ],
      {
        connections: byId.length,
        broken: brokenOf(byId).length,
        brokenByTuple: brokenOf(byTuple).length,
        moved: moved.length,
        elsewhere: elsewhere.length,
        rotated: rotated.length,
        configurations,
        named: packets.named,
        strays: packets.strays['connection id'],
        straysByTuple: packets.strays['4-tuple'],
      },
    );
  },
};
