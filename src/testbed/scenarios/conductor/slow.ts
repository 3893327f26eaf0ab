import type { LineChart } from '../../../chart/chart.js';
import { serverName } from '../../addresses.js';
import { TIMES } from '../../control/cluster.js';
import { LoadCurve, worstDeviation } from '../../control/load-curve.js';
import { MoveLog } from '../../control/move-log.js';
import type { ConductedServer } from '../../control/servers.js';
import { bucketsOf } from '../../control/view.js';
import { waitUntil } from '../../wait.js';
import { percent } from '../../words.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { serversInUse } from './standing.js';
import { expectNoneBroken, expectNoneFailed, HELD, roundSeconds, Traffic } from './traffic.js';

const SLOW = 1;
const SHARE = 0.5;
/** How far a load may be from the mean of the others, as a share of it. */
const WITHIN = 0.05;
const PATIENCE_S = 75;
/** Before, what is left of earlier steps is given so long to even out. */
const BASELINE_S = 20;

/** One server gets half the processor time; the conductor moves buckets until it is as busy as the others. */
export const slow: Scenario = {
  name: 'slow',
  title: `Slow: ${serverName(SLOW)} is left with half its processor time`,
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const server = control.server(SLOW);
    const round = roundSeconds(dataCenter.allClients().length);
    const traffic = await Traffic.begin(dataCenter);
    const servers = serversInUse(control);
    const curve = LoadCurve.begin(servers, round);
    await untilBalanced(curve, 2 * round, round, BASELINE_S);
    const before = {
      deviation: worstDeviation(curve.loads(round)),
      buckets: bucketsOf(control.watch.view, server.name),
    };
    const log = MoveLog.begin(control.watch);
    const slowedAt = curve.seconds;
    server.slowTo(SHARE);
    await untilSeconds(curve, slowedAt + round);
    const slowed = worstDeviation(curve.loads(round));
    await untilBalanced(curve, slowedAt + 2 * round, round, PATIENCE_S);
    const loads = curve.loads(2 * round);
    const balancedAt = curve.seconds;
    const after = { deviation: worstDeviation(loads), buckets: bucketsOf(control.watch.view, server.name) };
    await untilSeconds(curve, balancedAt + round);
    curve.end();
    log.end();
    server.slowTo(1);
    const { requests, outcomes } = await traffic.end();

    const kinds = log.byKind('balance');
    const moved = log.of('balance');
    const swapped = kinds.swap ?? 0;
    const swapShare = moved === 0 ? 0 : swapped / moved;
    const took = balancedAt - slowedAt;
    const judgement = new Judgement();
    judgement.expect(slowed > 2 * WITHIN, `${server.name} was never busier than the others`);
    judgement.expect(
      after.deviation <= WITHIN,
      `after ${took.toFixed(0)} s a load is still ${percent(after.deviation)} from the mean of the others`,
    );
    judgement.expect(swapShare > 0.5, `only ${swapped} of ${moved} buckets moved by swaps`);
    expectNoneBroken(judgement, outcomes);
    expectNoneFailed(judgement, requests);
    return {
      ...judgement.finding(
        [
          `load from real Prometheus, which scrapes every node once in ${TIMES.scrapeEvery} s: processor time used over ${TIMES.loadOver} s, of what the server has; a step of the control loop every ${TIMES.balanceEvery} s`,
          `furthest load from the mean of the others: ${percent(before.deviation)} before, ${percent(slowed)} after ${server.name} was slowed down, ${percent(after.deviation)} after ${took.toFixed(0)} s (means over ${(2 * round).toFixed(0)} s)`,
          `loads now: ${[...loads].map(([name, load]) => `${name} ${percent(load)}`).join(', ')}`,
          `${server.name} had ${before.buckets} buckets and has ${after.buckets}; ${moved} moved in ${log.versions} tables, ${percent(swapShare)} of them by swaps`,
          `${HELD} long-lived connections: ${brokenOf(outcomes).length} broken; ${requests.length} new ones: none failed`,
        ],
        {
          deviationBefore: before.deviation,
          deviationSlowed: slowed,
          deviationAfter: after.deviation,
          secondsToBalance: took,
          bucketsMoved: moved,
          bucketsSwapped: swapped,
          connections: outcomes.length,
          broken: brokenOf(outcomes).length,
          newConnections: requests.length,
        },
      ),
      chart: chartOf(curve, round, { server, slowedAt, balancedAt }),
    };
  },
};

/** Resolves when no load is further than it may be; or not, after so many seconds: that is judged afterwards. */
async function untilBalanced(
  curve: LoadCurve,
  earliest: number,
  round: number,
  patience: number,
): Promise<void> {
  const end = curve.seconds + patience;
  await untilSeconds(curve, earliest);
  await waitUntil(
    'the loads to be balanced',
    () => worstDeviation(curve.loads(2 * round)) <= WITHIN || curve.seconds > end,
    2000 * patience,
  );
}

const untilSeconds = (curve: LoadCurve, seconds: number): Promise<void> =>
  waitUntil('the loads to be known', () => curve.seconds >= seconds, 60_000);

function chartOf(
  curve: LoadCurve,
  round: number,
  at: { readonly server: ConductedServer; readonly slowedAt: number; readonly balancedAt: number },
): LineChart {
  return {
    title: `Load of the servers when ${at.server.name} is left with half its processor time`,
    subtitle: `Processor time used, of what each server has; means over ${round.toFixed(0)} s`,
    xName: 'time in s',
    yName: 'load in %',
    yMin: 0,
    yMax: 100,
    series: curve.series(),
    marks: [
      { x: at.slowedAt, text: `${at.server.name} slowed down` },
      { x: at.balancedAt, text: `within ${100 * WITHIN} %` },
    ],
  };
}
