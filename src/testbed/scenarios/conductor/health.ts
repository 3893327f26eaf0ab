import { serverName } from '../../addresses.js';
import { FALL, TIMES } from '../../control/cluster.js';
import { seconds } from '../../words.js';
import { clock } from '../../work-load.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { untilAvoided } from './standing.js';
import { expectNoneBroken, failed, HELD, Traffic } from './traffic.js';

const FAILING = 2;
const DYING = 4;

/** From the first check that fails to the last node that has the table without the server, and a moment for the way. */
const CONFIGURED_S = FALL * TIMES.checkEvery + TIMES.checkTimeout + TIMES.settle;
const ON_THE_WAY_S = 1.5;

/** A service fails and comes back; a server dies. */
export const health: Scenario = {
  name: 'health',
  title: `Health: the service of ${serverName(FAILING)} fails and comes back; ${serverName(DYING)} dies`,
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const traffic = await Traffic.begin(dataCenter);

    const failing = control.server(FAILING);
    const failedAt = clock();
    await failing.setMood('failing');
    await untilAvoided(control, failing.name);
    const avoidedAfter = clock() - failedAt;
    await traffic.untilRequestsSince(clock());
    const recoveredAt = clock();
    await failing.setMood('well');
    await control.untilInUse(failing.name);
    const backAfter = clock() - recoveredAt;

    const dying = control.server(DYING);
    const diedAt = clock();
    await dying.killEverything();
    await control.untilRouter(dying.name, 'withdrawn');
    const withdrawnAfter = clock() - diedAt;
    await dying.setLink('down');
    await untilAvoided(control, dying.name, { isDead: true });
    const deadAvoidedAfter = clock() - diedAt;
    await dying.setLink('up');
    await dying.startService();
    dying.startNode();
    await dying.untilHealthy();
    await control.untilInUse(dying.name);
    const { requests, outcomes } = await traffic.end();

    // Those that were under way already met it, too.
    const met = (from: number, after: number) =>
      failed(requests.filter(({ begun, ended }) => ended >= from && begun < from + after));
    const duringFailure = met(failedAt, avoidedAfter);
    const duringDeath = met(diedAt, deadAvoidedAfter);
    const others = failed(requests).length - duringFailure.length - duringDeath.length;
    const elsewhere = outcomes.filter(({ server }) => server !== dying.name);
    const onDead = outcomes.filter(({ server }) => server === dying.name);

    const judgement = new Judgement();
    const limit = 1000 * (CONFIGURED_S + ON_THE_WAY_S);
    judgement.expect(duringFailure.length > 0, `no new connection met ${failing.name} while it failed`);
    judgement.expect(
      avoidedAfter <= limit,
      `new connections met the failing ${failing.name} for ${seconds(avoidedAfter)}`,
    );
    judgement.expect(
      deadAvoidedAfter <= limit,
      `new connections met the dead ${dying.name} for ${seconds(deadAvoidedAfter)}`,
    );
    judgement.expect(
      withdrawnAfter <= limit,
      `the router used ${dying.name} for ${seconds(withdrawnAfter)} after its death`,
    );
    judgement.expect(others === 0, `${others} new connections failed before or after`);
    judgement.expect(onDead.length > 0, `no long-lived connection was on ${dying.name}`);
    expectNoneBroken(judgement, elsewhere);
    return judgement.finding(
      [
        `configured: ${FALL} checks, ${TIMES.checkEvery} s apart, each up to ${TIMES.checkTimeout} s, and ${TIMES.settle} s to settle: ${CONFIGURED_S} s`,
        `${failing.name} answers 503: avoided after ${seconds(avoidedAfter)}, used again ${seconds(backAfter)} after its recovery`,
        `${dying.name} is killed and unplugged: its routes are withdrawn after ${Math.round(withdrawnAfter)} ms, new connections avoid it after ${seconds(deadAvoidedAfter)}`,
        `${duringFailure.length} and ${duringDeath.length} of ${requests.length} new connections failed until then, none before or after`,
        `${HELD} long-lived connections: ${brokenOf(elsewhere).length} of ${elsewhere.length} on other servers broken; the ${onDead.length} on ${dying.name} died with it`,
      ],
      {
        configuredSeconds: CONFIGURED_S,
        avoidedMs: Math.round(avoidedAfter),
        backMs: Math.round(backAfter),
        withdrawnMs: Math.round(withdrawnAfter),
        deadAvoidedMs: Math.round(deadAvoidedAfter),
        newConnections: requests.length,
        newFailed: failed(requests).length,
        connections: outcomes.length,
        brokenElsewhere: brokenOf(elsewhere).length,
        onDead: onDead.length,
      },
    );
  },
};
