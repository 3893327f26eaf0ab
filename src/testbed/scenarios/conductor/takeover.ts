import { serverName } from '../../addresses.js';
import { TIMES } from '../../control/cluster.js';
import type { ServerChange } from '../../control/commands.js';
import { CONDUCTORS, type ConductorName, type ControlPlane } from '../../control/control-plane.js';
import { MoveLog } from '../../control/move-log.js';
import { allHave, versionOf } from '../../control/view.js';
import { TestbedError } from '../../errors.js';
import { waitUntil } from '../../wait.js';
import { seconds } from '../../words.js';
import { clock } from '../../work-load.js';
import { brokenOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { expectNoneBroken, expectNoneFailed, HELD, Traffic } from './traffic.js';

const DRAINED = 2;
const TAKEOVER_MS = 3000;
/** Longer than every lease. */
const STORE_AWAY_MS = 1000 * (TIMES.lease + 2);

/** The active conductor is killed; then the store goes away for a while. */
export const takeover: Scenario = {
  name: 'takeover',
  title: 'Takeover: the active conductor is killed, and later the store goes away',
  async run(dataCenter) {
    const control = dataCenter.requireControl();
    const { watch } = control;
    const judgement = new Judgement();
    const traffic = await Traffic.begin(dataCenter);

    const old = leaderOf(control);
    const log = MoveLog.begin(watch);
    const before = watch.view.table;
    const killedAt = clock();
    await control.signalConductor(old, 'SIGKILL');
    const led = await watch.until(
      'the standby to take over',
      ({ leader }) => leader !== null && leader !== old,
    );
    const tookOverAfter = clock() - killedAt;
    const spoke = await watch.until(
      'the new conductor to speak',
      ({ status }) => status?.conductor === led.leader,
    );
    const isSame = [led.table, spoke.table].every(
      (table) => table?.version === before?.version && table?.sha256 === before?.sha256,
    );
    log.end();
    control.startConductor(old);
    await watch.until('the killed one to stand by', ({ conductors }) => conductors.includes(old));

    const held = versionOf(watch.view);
    const servers = Object.keys(watch.view.nodes);
    await control.stopEtcd();
    const awayAt = clock();
    await waitUntil('every node to say that the store is away', () => storeIs(control, servers, 0));
    await waitUntil('the absence to outlast every lease', () => clock() - awayAt > STORE_AWAY_MS);
    const versions = await versionsOnNodes(control, servers);
    await control.startEtcd();
    const backAt = clock();
    const drained = serverName(DRAINED);
    const drain = await control.twohop<ServerChange>('server', 'drain', drained);
    const caughtUpAfter = clock() - backAt;
    await control.twohop<ServerChange>('server', 'activate', drained);
    await watch.until(
      'every node to follow',
      (view) => servers.every((name) => view.nodes[name]) && allHave(view),
    );
    const knowAgain = await storeIs(control, servers, 1);
    const { requests, outcomes } = await traffic.end();
    const duringAbsence = requests.filter(({ begun }) => begun >= awayAt && begun < backAt).length;

    judgement.expect(tookOverAfter < TAKEOVER_MS, `the standby took ${seconds(tookOverAfter)} to take over`);
    judgement.expect(isSame, 'the table changed when the standby took over');
    judgement.expect(
      versions.every((version) => version >= held),
      `without the store nodes went back to versions ${versions.join(', ')} from ${held}`,
    );
    judgement.expect(duringAbsence > 0, 'there were no new connections while the store was away');
    judgement.expect(drain.missing === null, `after the absence: ${drain.missing}`);
    judgement.expect(knowAgain, 'a node says that the store is still away');
    expectNoneBroken(judgement, outcomes);
    expectNoneFailed(judgement, requests);
    return judgement.finding(
      [
        `conductor ${old} is killed: ${led.leader} leads after ${seconds(tookOverAfter)} (lease: ${TIMES.lease} s), with the same table: version ${before?.version}, same rows`,
        `the store is away for ${seconds(backAt - awayAt)}: all ${servers.length} nodes say so (twohop_store_available 0) and keep version ${Math.min(...versions)}; ${duringAbsence} new connections meanwhile`,
        `the store is back: a drain ordered at once is followed by all nodes ${seconds(caughtUpAfter)} later`,
        `${HELD} long-lived connections: ${brokenOf(outcomes).length} broken; ${requests.length} new ones: none failed`,
      ],
      {
        takeoverMs: Math.round(tookOverAfter),
        bucketsChanged: log.versions === 0 ? 0 : Object.values(log.byKind()).reduce((a, b) => a + b, 0),
        storeAwayMs: Math.round(backAt - awayAt),
        caughtUpMs: Math.round(caughtUpAfter),
        connections: outcomes.length,
        broken: brokenOf(outcomes).length,
        newConnections: requests.length,
      },
    );
  },
};

function leaderOf({ watch }: ControlPlane): ConductorName {
  const name = CONDUCTORS.find((one) => one === watch.view.leader);
  if (name === undefined) throw new TestbedError('no conductor leads');
  return name;
}

/** Whether every node says that the store is there (1), or away (0). */
async function storeIs(control: ControlPlane, servers: readonly string[], value: 0 | 1): Promise<boolean> {
  const pages = await Promise.all(namedServers(control, servers).map((server) => server.metrics()));
  return pages.every((page) => page.sum('twohop_store_available') === value);
}

async function versionsOnNodes(control: ControlPlane, servers: readonly string[]): Promise<number[]> {
  const pages = await Promise.all(namedServers(control, servers).map((server) => server.metrics()));
  return pages.map((page) => page.sum('twohop_table_version'));
}

const namedServers = ({ servers }: ControlPlane, names: readonly string[]) =>
  servers.filter(({ name }) => names.includes(name));
