import { serverName } from '../addresses.js';
import type { Attempt, LoadReport, Outcome } from '../client-protocol.js';
import {
  brokenOf,
  finishAll,
  type HeldBy,
  holdOpen,
  openNew,
  sampleOf,
  startLoad,
  stopLoad,
} from './connections.js';
import { connectionKey, entriesOf } from './entries.js';
import { type Finding, Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 60;
const NEW = 48;
const LOAD_PER_SECOND = 10;
const CRASHED = 2;
/** For connections that nobody may answer: one retransmission of the SYN, and a little. */
const SHORT_TIMEOUT_MS = 1500;

/**
 * One node process dies without a word and is started again. Until the router has withdrawn its route, what it sends
 * to that server is lost (closed), or delivered there whether it belongs there or not (open).
 */
export const crash: Scenario = {
  name: 'crash',
  title: `Crash: the node of ${serverName(CRASHED)} is killed, and later started again`,
  async run(dataCenter) {
    const { network } = dataCenter;
    const fleet = dataCenter.requireFleet();
    const name = serverName(CRASHED);
    const routes = network.ecmp;
    const others = routes.servers.filter((server) => server !== CRASHED);

    const held = await holdOpen(dataCenter, CONNECTIONS);
    const entries = await entriesOf(network, held);
    await startLoad(dataCenter, LOAD_PER_SECOND);
    await fleet.stopNode(CRASHED, 'SIGKILL');
    const during = await openNew(dataCenter, NEW, SHORT_TIMEOUT_MS);
    await network.setEcmp({ servers: others });
    const elsewhere = await finishAll(dataCenter, { servers: others.map(serverName) });
    await fleet.startNode(CRASHED);
    await network.setEcmp(routes);
    const here = await finishAll(dataCenter);
    const load = await stopLoad(dataCenter);
    const after = await openNew(dataCenter, NEW);

    const seen: Seen = { name, held, entries, during, elsewhere, here, load, after };
    return fleet.nodeSettings.failureMode === 'closed' ? judgeClosed(seen) : judgeOpen(seen);
  },
};

interface Seen {
  /** Of the server whose node crashed. */
  readonly name: string;
  readonly held: readonly HeldBy[];
  /** Where those of `held` that use IPv4 entered. */
  readonly entries: ReadonlyMap<string, string>;
  /** New connections before the router withdrew its route. */
  readonly during: readonly Attempt[];
  /** Held connections on other servers, brought to their end while the node was down. */
  readonly elsewhere: readonly Outcome[];
  /** Held connections on this server, brought to their end after the node had come back. */
  readonly here: readonly Outcome[];
  readonly load: LoadReport;
  /** New connections after all that. */
  readonly after: readonly Attempt[];
}

/** Closed: silence. Nothing is answered by the wrong server, nothing is reset; what waits can go on. */
function judgeClosed(seen: Seen): Finding {
  const { name, elsewhere, here, load } = seen;
  const unanswered = seen.during.filter(({ error }) => error !== null);
  const reset = unanswered.filter(({ error }) => !error?.startsWith('no answer'));
  const brokenElsewhere = brokenOf(elsewhere);
  const brokenHere = brokenOf(here);
  const judgement = new Judgement();
  judgement.expect(
    seen.during.every(({ server }) => server !== name),
    `${name} answered new connections while its node was down`,
  );
  judgement.expect(reset.length === 0, `not silence but: ${sampleOf(reset)}`);
  judgement.expect(
    brokenElsewhere.length === 0,
    `${brokenElsewhere.length} on other servers broke: ${sampleOf(brokenElsewhere)}`,
  );
  judgement.expect(brokenHere.length === 0, `${brokenHere.length} on ${name} broke: ${sampleOf(brokenHere)}`);
  expectRecovery(judgement, seen);
  return judgement.finding(
    [
      `${elsewhere.length} on other servers completed while it was down: ${brokenElsewhere.length} broken`,
      `${here.length} on ${name} stood still and went on after the restart: ${brokenHere.length} broken`,
      `lost: ${unanswered.length} of ${seen.during.length} new ones before the route was withdrawn, ` +
        `${load.failures.length} of ${load.attempts} under load`,
    ],
    figures(seen),
  );
}

/** Open: the kernel answers whatever enters here, and resets what belongs elsewhere. */
function judgeOpen(seen: Seen): Finding {
  const { name, entries, elsewhere, here, load } = seen;
  const answered = seen.during.filter(({ server }) => server === name);
  const brokenElsewhere = brokenOf(elsewhere);
  const brokenHere = brokenOf(here);
  const unexplained = brokenElsewhere.filter((outcome) => {
    const entry = entries.get(connectionKey(outcome));
    return entry !== undefined && entry !== name;
  });
  const judgement = new Judgement();
  judgement.expect(answered.length > 0, `${name} answered nobody while its node was down`);
  judgement.expect(
    unexplained.length === 0,
    `${unexplained.length} broke that did not enter at ${name}: ${sampleOf(unexplained)}`,
  );
  judgement.expect(brokenHere.length === 0, `${brokenHere.length} on ${name} broke: ${sampleOf(brokenHere)}`);
  expectRecovery(judgement, seen);
  return judgement.finding(
    [
      `${name} answered ${answered.length} of ${seen.during.length} new connections by itself`,
      `the price: ${brokenElsewhere.length} of ${elsewhere.length} on other servers were reset, having entered at ${name}`,
      `${here.length} on ${name}: ${brokenHere.length} broken; ${load.failures.length} of ${load.attempts} new ones lost under load`,
    ],
    { ...figures(seen), answeredByItself: answered.length },
  );
}

function expectRecovery(judgement: Judgement, { after }: Seen): void {
  const failed = after.filter(({ error }) => error !== null);
  judgement.expect(
    failed.length === 0,
    `after the restart ${failed.length} new ones failed: ${sampleOf(failed)}`,
  );
}

function figures({ held, elsewhere, here, during, load }: Seen): Record<string, number> {
  return {
    connections: held.length,
    brokenElsewhere: brokenOf(elsewhere).length,
    brokenHere: brokenOf(here).length,
    newBeforeWithdrawal: during.length,
    newUnanswered: during.filter(({ error }) => error !== null).length,
    loadConnections: load.attempts,
    loadFailed: load.failures.length,
  };
}
