import { Nat } from '../../nat.js';
import { giveToAccess, secondAddressOf, takeFromAccess } from '../../second-address.js';
import { Judgement, type Scenario } from '../scenario.js';
import { Exchanges } from './exchanges.js';
import { brokenOf, byWay, judgeBoth, lossOf, movedInProgress } from './fates.js';
import { countPackets, difference, judgePackets, packetLine } from './packets.js';

const PER_CLIENT = 6;

/** NATs forget their mappings under uploads: the clients notice nothing, and go on with the same connection ID. */
export const rebinding: Scenario = {
  name: 'rebinding',
  title: `NAT rebinding: ${2 * PER_CLIENT} uploads, and as many by 4-tuple, get new ports, then new addresses`,
  async run(dataCenter) {
    const nats = dataCenter.sites.clients.map(({ number }) => new Nat(number));
    await Promise.all(nats.map((nat) => giveToAccess(nat.client)));
    await Promise.all(nats.map((nat) => nat.map({ address: nat.address, ports: [20_000, 29_999] })));
    const uploads = await Exchanges.start(dataCenter, {
      exchange: 'upload',
      perClient: PER_CLIENT,
      families: [4],
    });
    await uploads.allInProgress();
    const before = await countPackets(dataCenter);

    await Promise.all(nats.map((nat) => nat.map({ address: nat.address, ports: [30_000, 39_999] })));
    await uploads.settle('connection id', ({ peers }) => peers.length === 2);
    await Promise.all(
      nats.map((nat) => nat.map({ address: secondAddressOf(nat.client)[4], ports: [40_000, 49_999] })),
    );
    await uploads.settle('connection id', ({ peers }) => peers.length === 3);
    const fates = await uploads.finish();
    const packets = difference(await countPackets(dataCenter), before);
    await Promise.all(nats.map((nat) => nat.remove()));
    await Promise.all(nats.map((nat) => takeFromAccess(nat.client)));

    const byId = byWay(fates, 'connection id');
    const byTuple = byWay(fates, '4-tuple');
    const moved = byId.filter(({ connection }) => connection?.peers.length === 3).length;
    const inProgress = byId.filter(movedInProgress).length;

    const judgement = new Judgement();
    judgeBoth(judgement, byId, byTuple);
    judgePackets(judgement, packets);
    judgement.expect(moved === byId.length, `only ${moved} were heard from three places`);
    judgement.expect(inProgress === byId.length, `only ${inProgress} moved while the upload was in progress`);
    return judgement.finding(
      [
        `by connection ID: ${lossOf(byId)}; ${moved} heard from 3 places`,
        `by 4-tuple: ${lossOf(byTuple)}`,
        packetLine(packets),
      ],
      {
        connections: byId.length,
        broken: brokenOf(byId).length,
        brokenByTuple: brokenOf(byTuple).length,
        moved,
        named: packets.named,
        strays: packets.strays['connection id'],
        straysByTuple: packets.strays['4-tuple'],
      },
    );
  },
};
