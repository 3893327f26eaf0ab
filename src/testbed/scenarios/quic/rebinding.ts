import { accessLink, accessName, secondAddressOf } from '../../addresses.js';
import { since } from '../../counters.js';
import { type Mapping, Nat, UDP_OF_ACCESS } from '../../nat.js';
import { giveToAccess, takeFromAccess } from '../../second-address.js';
import { Judgement, type Scenario } from '../scenario.js';
import { Exchanges } from './exchanges.js';
import { brokenOf, byWay, judgeBoth, lossOf, movedInProgress } from './fates.js';
import { countPackets, judgePackets, packetLine } from './packets.js';

const PER_CLIENT = 6;

/** NATs forget their mappings under uploads: the clients notice nothing, and go on with the same connection ID. */
export const rebinding: Scenario = {
  name: 'rebinding',
  title: `NAT rebinding: ${2 * PER_CLIENT} uploads, and as many by 4-tuple, get new ports, then new addresses`,
  async run(dataCenter) {
    const clients = dataCenter.sites.clients.map(({ number }) => number);
    const nats = clients.map((client) => ({ client, nat: new Nat(accessName(client), UDP_OF_ACCESS) }));
    const map = async (ports: Mapping['ports'], addressOf: (client: number) => string): Promise<void> => {
      await Promise.all(nats.map(({ client, nat }) => nat.map({ address: addressOf(client), ports })));
    };
    const first = (client: number): string => accessLink(client).own[4];
    await Promise.all(clients.map(giveToAccess));
    await map([20_000, 29_999], first);
    const uploads = await Exchanges.start(dataCenter, {
      exchange: 'upload',
      perClient: PER_CLIENT,
      families: [4],
    });
    await uploads.allInProgress();
    const before = await countPackets(dataCenter);

    await map([30_000, 39_999], first);
    await uploads.settle('connection id', ({ peers }) => peers.length === 2);
    await map([40_000, 49_999], (client) => secondAddressOf(client)[4]);
    await uploads.settle('connection id', ({ peers }) => peers.length === 3);
    const fates = await uploads.finish();
    const packets = since(before, await countPackets(dataCenter));
    await Promise.all(nats.map(({ nat }) => nat.remove()));
    await Promise.all(clients.map(takeFromAccess));

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
