import { FAMILIES, type Family, VIP_PREFIXES } from '../../addresses.js';
import type { Endpoint } from '../../client-protocol.js';
import { TRAFFICSET } from '../../control/cluster.js';
import { spareRange } from '../../control/router.js';
import type { DataCenter } from '../../data-center.js';
import { waitUntil } from '../../wait.js';
import { seconds } from '../../words.js';
import { clock } from '../../work-load.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { expectNoneBroken, expectNoneFailed, HELD, Traffic } from './traffic.js';

const RANGES = FAMILIES.map((family) => spareRange(5, family));
/** New connections per look, both families and several addresses. */
const ASKED = 32;
const SHORT_TIMEOUT_MS = 500;

/** A range of VIPs of each family is added while everything runs, and removed again. */
export const vips: Scenario = {
  name: 'vips',
  title: `VIPs: ${RANGES.join(' and ')} are added, and removed again`,
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const judgement = new Judgement();
    const traffic = await Traffic.begin(dataCenter);

    const before = await answers(dataCenter);
    const addedAt = clock();
    await control.twohop('vip', 'add', TRAFFICSET, ...RANGES);
    const commandTook = clock() - addedAt;
    await waitUntil('the new VIPs to answer', async () => (await answers(dataCenter)) === ASKED, 20_000);
    const answeredAfter = clock() - addedAt;
    await waitUntil('every server to announce them', async () => {
      const [added, others] = await Promise.all(
        [RANGES, FAMILIES.map((family) => VIP_PREFIXES[family])].map((ranges) =>
          Promise.all(ranges.map((range) => control.router.nextHops(range))),
        ),
      );
      return added.every((names, index) => names.length > 0 && names.join() === others[index].join());
    });
    const announcedAfter = clock() - addedAt;

    const removedAt = clock();
    await control.twohop('vip', 'remove', TRAFFICSET, ...RANGES);
    await waitUntil('the routes to be withdrawn', async () => {
      const hops = await Promise.all(RANGES.map((range) => control.router.nextHops(range)));
      return hops.every((names) => names.length === 0);
    });
    const withdrawnAfter = clock() - removedAt;
    const after = await answers(dataCenter);
    const { requests, outcomes } = await traffic.end();

    judgement.expect(before === 0 && after === 0, `${before} answers before, ${after} after`);
    expectNoneBroken(judgement, outcomes);
    expectNoneFailed(judgement, requests);
    return judgement.finding(
      [
        `added by one command: answered over both families ${seconds(answeredAfter)} later, announced by all servers after ${seconds(announcedAfter)}`,
        `removed: withdrawn by all ${seconds(withdrawnAfter)} later, and not answered any more`,
        `${HELD} long-lived connections to other VIPs: ${brokenOf(outcomes).length} broken; ${requests.length} new ones: none failed`,
      ],
      {
        commandMs: Math.round(commandTook),
        answeredMs: Math.round(answeredAfter),
        announcedMs: Math.round(announcedAfter),
        withdrawnMs: Math.round(withdrawnAfter),
        connections: outcomes.length,
        broken: brokenOf(outcomes).length,
        newConnections: requests.length,
      },
    );
  },
};

/** How many of {@link ASKED} new connections to the ranges are answered. */
async function answers(dataCenter: DataCenter): Promise<number> {
  const attempts = await dataCenter.client(1).call('burst', {
    count: ASKED,
    targets: [1, 2, 3, 250].flatMap((n) => FAMILIES.map((family) => inRange(family, n))),
    concurrency: ASKED,
    timeoutMs: SHORT_TIMEOUT_MS,
  });
  return attempts.filter(({ error }) => error === null).length;
}

function inRange(family: Family, n: number): Endpoint {
  const [network] = spareRange(5, family).split('/');
  return {
    address: family === 4 ? network.replace(/0$/, String(n)) : `${network}${n.toString(16)}`,
    port: 80,
  };
}
