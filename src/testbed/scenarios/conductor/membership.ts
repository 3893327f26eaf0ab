import { dipOf, serverName } from '../../addresses.js';
import { changeOf, type ServerChange } from '../../control/commands.js';
import type { ControlPlane } from '../../control/control-plane.js';
import { clock } from '../../work-load.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { answeredBy, expectNoneBroken, expectNoneFailed, HELD, Traffic } from './traffic.js';

const DRAINED = 2;
const REMOVED = 3;

/** A server comes, another is drained and comes back, a third is removed; each by one command. */
export const membership: Scenario = {
  name: 'membership',
  title: `Membership: a server is added, ${serverName(DRAINED)} drained, ${serverName(REMOVED)} removed, under ${HELD} long-lived connections`,
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const { spare } = control;
    const drained = serverName(DRAINED);
    const removed = serverName(REMOVED);
    const judgement = new Judgement();
    const traffic = await Traffic.begin(dataCenter);

    await spare.startService();
    spare.startNode();
    await spare.untilHealthy();
    const added = await changed(judgement, control, 'add', spare.name, '--dip', dipOf(spare.number));
    await control.untilInUse(spare.name);

    const drain = await changed(judgement, control, 'drain', drained);
    const drainedAt = clock();
    await control.untilRouter(drained, 'withdrawn');
    await traffic.untilRequestsSince(drainedAt);
    const activatedAt = clock();
    const activated = await changed(judgement, control, 'activate', drained);
    await control.untilRouter(drained, 'used');

    const drainToRemove = await changed(judgement, control, 'drain', removed);
    const onRemoved = await traffic.finishOn([removed]);
    const removal = await changed(judgement, control, 'remove', removed);
    const removedAt = clock();
    await control.server(REMOVED).stop();
    await traffic.untilRequestsSince(removedAt);
    const { requests, outcomes } = await traffic.end();

    const all = [...onRemoved, ...outcomes];
    const whileDrained = requests.filter(({ begun }) => begun >= drainedAt && begun < activatedAt);
    const onDrained = whileDrained.filter(({ server }) => server === drained).length;
    const afterRemoval = answeredBy(requests.filter(({ begun }) => begun >= removedAt));
    const toSpare = answeredBy(requests)[spare.name] ?? 0;
    expectNoneBroken(judgement, all);
    expectNoneFailed(judgement, requests);
    judgement.expect(toSpare > 0, `${spare.name} answered no new connection`);
    judgement.expect(
      whileDrained.length > 0 && onDrained === 0,
      `${onDrained} of ${whileDrained.length} new connections went to ${drained} while it was drained`,
    );
    judgement.expect(
      afterRemoval[removed] === undefined,
      `${afterRemoval[removed]} new connections went to ${removed} after its removal`,
    );
    return judgement.finding(
      [
        `${spare.name} added: ${told(added)}`,
        `${drained} drained: ${told(drain)}, its routes are withdrawn`,
        `${drained} back: ${told(activated)}`,
        `${removed} drained: ${told(drainToRemove)}`,
        `${removed} removed, its connections at their end: ${told(removal)}`,
        `${all.length} long-lived connections: ${brokenOf(all).length} broken; ${requests.length} new ones: none failed, ${toSpare} on ${spare.name}`,
      ],
      {
        connections: all.length,
        broken: brokenOf(all).length,
        newConnections: requests.length,
        bucketsChanged: {
          added: changedBy(added),
          drained: changedBy(drain),
          activated: changedBy(activated),
          drainedToRemove: changedBy(drainToRemove),
          removed: changedBy(removal),
        },
      },
    );
  },
};

/** Runs `twohop server VERB NAME ...`, which waits until every node follows. */
async function changed(
  judgement: Judgement,
  control: ControlPlane,
  verb: string,
  server: string,
  ...args: readonly string[]
): Promise<ServerChange> {
  const change = await control.twohop<ServerChange>('server', verb, server, ...args);
  judgement.expect(change.missing === null, `server ${verb} ${server}: ${change.missing}`);
  return change;
}

const changedBy = (change: ServerChange): number => changeOf(change).changed;

/** `256 of 1024 buckets (join handover 200, join swap 56), 25.0 % take the second hop now`. */
function told(change: ServerChange): string {
  const { changed, buckets, byRule, longer } = changeOf(change);
  const rules = byRule.map(({ rule, kind, buckets: count }) => `${rule} ${kind} ${count}`).join(', ');
  const share = ((100 * longer) / buckets).toFixed(1);
  return changed === 0
    ? 'no bucket changed'
    : `${changed} of ${buckets} buckets changed (${rules}), in ${share} % established connections take the second hop now`;
}
