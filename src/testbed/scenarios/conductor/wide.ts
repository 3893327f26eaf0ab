import { TIMES } from '../../control/cluster.js';
import { MoveLog } from '../../control/move-log.js';
import { bucketsOf } from '../../control/view.js';
import { waitUntil } from '../../wait.js';
import { seconds } from '../../words.js';
import { clock } from '../../work-load.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { serversInUse } from './standing.js';
import { expectNoneBroken, HELD, Traffic } from './traffic.js';

/** So many servers stay well. */
const WELL = 1;
/** How long the conductor is watched: as long as it takes to act upon a server that is unhealthy alone, and more. */
const WATCHED_MS = 1000 * (TIMES.settle + 3);

/** Most servers report unhealthy at once; and a node is restarted, so that its reports are missing for a moment. */
export const wide: Scenario = {
  name: 'wide',
  title: 'Wide: most servers report unhealthy at once, and a node is restarted',
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const { watch } = control;
    const judgement = new Judgement();
    const traffic = await Traffic.begin(dataCenter);
    const servers = serversInUse(control);
    const unwell = servers.slice(WELL);
    const log = MoveLog.begin(watch);

    await Promise.all(unwell.map((server) => server.setMood('unwell')));
    const problem = await watch.until(
      'the conductor to see it',
      ({ status }) => status?.wideProblem !== null,
    );
    const why = problem.status?.wideProblem ?? '';
    await stays(WATCHED_MS);
    const during = servers.map(({ name }) => bucketsOf(watch.view, name));
    await Promise.all(unwell.map((server) => server.setMood('well')));
    const wellAt = clock();
    await watch.until('the problem to be over', ({ status }) => status?.wideProblem === null);
    const overAfter = clock() - wellAt;
    await stays(WATCHED_MS);
    const healthMoves = log.of('health') + log.of('gone') + log.of('join');

    const restarted = servers[0];
    await restarted.stopNode('SIGTERM');
    const missing = await watch.until(
      'its report to be missing',
      ({ nodes }) => nodes[restarted.name] === undefined,
    );
    restarted.startNode();
    await restarted.untilHealthy();
    await watch.until('its report to be back', ({ nodes }) => nodes[restarted.name] !== undefined);
    await stays(WATCHED_MS);
    log.end();
    const flickerMoves = log.of('health') + log.of('gone') + log.of('join') - healthMoves;
    const { requests, outcomes } = await traffic.end();
    const failed = requests.filter(({ error }) => error !== null).length;

    judgement.expect(why !== '', 'the status does not say why');
    judgement.expect(
      during.every((buckets) => buckets > 0),
      `servers were left with ${during.join(', ')} buckets`,
    );
    judgement.expect(healthMoves === 0, `${healthMoves} buckets changed because of the wide problem`);
    judgement.expect(
      missing !== null && flickerMoves === 0,
      `${flickerMoves} buckets changed because a node was restarted`,
    );
    expectNoneBroken(judgement, outcomes);
    return judgement.finding(
      [
        `${unwell.length} of ${servers.length} servers fail their health check at once: ${healthMoves === 0 ? 'no bucket changes' : `${healthMoves} buckets change`}`,
        `the status says: ${why}`,
        `over ${seconds(overAfter)} after all are well again, without any move: nothing to swing back`,
        `${restarted.name}'s node is stopped and started again, its reports are missing meanwhile (tolerated: ${TIMES.absence} s, and ${TIMES.settle} s to settle): ${flickerMoves === 0 ? 'no bucket changes' : `${flickerMoves} buckets change`}`,
        `${HELD} long-lived connections: ${brokenOf(outcomes).length} broken; ${failed} of ${requests.length} new ones got no answer, while ${restarted.name} had no node`,
      ],
      {
        unhealthy: unwell.length,
        servers: servers.length,
        bucketsChangedByHealth: healthMoves,
        bucketsChangedByRestart: flickerMoves,
        overMs: Math.round(overAfter),
        connections: outcomes.length,
        broken: brokenOf(outcomes).length,
        newConnections: requests.length,
        newFailed: failed,
      },
    );
  },
};

/** Time in which something could happen that must not. */
async function stays(milliseconds: number): Promise<void> {
  const until = clock() + milliseconds;
  await waitUntil('time to pass', () => clock() >= until, 2 * milliseconds);
}
