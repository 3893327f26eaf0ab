import { parseIpv4 } from '../../table/address.js';
import { drain as drainTable } from '../../table/edit.js';
import { dipOf, serverName } from '../addresses.js';
import type { DataCenter } from '../data-center.js';
import { brokenOf, finishAll, holdOpen, sampleOf } from './connections.js';
import { drain } from './drain.js';
import { Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 60;
const DRAINED = 1;
/** Nothing but the departure disturbs these; some of its victims are not reset but wait for ever. */
const STALL_MS = 5000;

interface Loss {
  readonly connections: number;
  readonly broken: number;
  readonly how: string;
}

/** The same departure without the second hop, and with the router alone: what the second hop is good for. */
export const comparison: Scenario = {
  name: 'comparison',
  title: `For comparison: ${serverName(DRAINED)} leaves without a second hop, and without a load balancer`,
  async run(dataCenter, earlier) {
    const twoHops = earlier.find(({ name }) => name === drain.name)?.figures;
    const oneHop = await withoutSecondHop(dataCenter);
    const plain = await plainEcmp(dataCenter);

    const judgement = new Judgement();
    judgement.expect(
      oneHop.broken > 0,
      'nothing broke without the second hop: this comparison shows nothing',
    );
    judgement.expect(plain.broken > 0, 'nothing broke with plain ECMP: this comparison shows nothing');
    return judgement.finding(
      [
        ...(twoHops === undefined
          ? []
          : [`two hops, above: ${twoHops.broken} of ${twoHops.connections} broken`]),
        `one hop only: ${oneHop.broken} of ${oneHop.connections} broken (${oneHop.how})`,
        `plain ECMP: ${plain.broken} of ${plain.connections} broken (${plain.how})`,
      ],
      {
        connections: oneHop.connections,
        brokenWithOneHop: oneHop.broken,
        brokenWithPlainEcmp: plain.broken,
        oneHopReasons: oneHop.how,
        plainEcmpReasons: plain.how,
      },
    );
  },
};

async function withoutSecondHop(dataCenter: DataCenter): Promise<Loss> {
  const fleet = dataCenter.requireFleet();
  const full = fleet.table;
  await holdOpen(dataCenter, CONNECTIONS);
  await fleet.publish(drainTable(full, parseIpv4(dipOf(DRAINED)), { keepSecondHop: false }));
  const loss = await countLoss(dataCenter);
  await fleet.restore(full);
  return loss;
}

/** The nodes end in good order, which leaves the kernel to itself; then the router loses a next hop. */
async function plainEcmp(dataCenter: DataCenter): Promise<Loss> {
  const { network } = dataCenter;
  const fleet = dataCenter.requireFleet();
  const original = network.ecmp;
  await fleet.stopAll();
  await holdOpen(dataCenter, CONNECTIONS);
  await network.setEcmp({ servers: original.servers.filter((server) => server !== DRAINED) });
  const loss = await countLoss(dataCenter);
  await network.setEcmp(original);
  await fleet.startAll();
  return loss;
}

async function countLoss(dataCenter: DataCenter): Promise<Loss> {
  const outcomes = await finishAll(dataCenter, { stallMs: STALL_MS });
  const broken = brokenOf(outcomes);
  return { connections: outcomes.length, broken: broken.length, how: sampleOf(broken) };
}
