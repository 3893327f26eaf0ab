import type { DataCenter } from '../../data-center.js';
import { type Tunnels, tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { brokenEver, type Journey, journey } from './journey.js';
import { roam } from './roam.js';
import { freshSessions, ROAMERS, TRAFFICSET } from './sessions.js';

/** Most of these sessions are gone for good: nobody waits long for them. */
const PROBE_S = 1;
const STALL_MS = 2000;

/** The same journey, with a load balancer that knows flows by their addresses and ports alone. */
export const comparison: Scenario = {
  name: 'comparison',
  title: 'For comparison: the same steps with the 4-tuple as the flow key',
  async run(dataCenter, earlier) {
    const withClientIds = earlier.find(({ name }) => name === roam.name)?.figures;
    const seen = await withFourTuple(dataCenter, tunnelsOf(dataCenter));

    const broken = brokenEver(seen);
    const { steps, packets, downloadFailures } = seen;
    const judgement = new Judgement();
    judgement.expect(broken > 0, 'no session was broken: this comparison shows nothing');
    judgement.expect(packets.astray > 0, 'no packet went astray: this comparison shows nothing');
    const all = packets.astray + packets.atHolder;
    return judgement.finding(
      [
        ...(withClientIds === undefined
          ? []
          : [
              `clientid, above: ${withClientIds.broken} of ${withClientIds.tunnels} sessions broken, ` +
                `${withClientIds.astray} packets astray`,
            ]),
        `4-tuple: ${steps[0].broken.size} of ${ROAMERS.length} sessions broken by the first step, ${broken} in the end`,
        `${downloadFailures.length} of ${ROAMERS.length} downloads broken`,
        `${packets.astray} of ${all} packets reached a server that does not hold their session`,
      ],
      {
        tunnels: ROAMERS.length,
        broken,
        brokenByStep: steps.map(({ title, broken }) => `${title}: ${broken.size}`),
        downloadsBroken: downloadFailures.length,
        packets: all,
        astray: packets.astray,
      },
    );
  },
};

/** Clients send zeros then: nobody would clear their clientids for the stock servers. */
async function withFourTuple(dataCenter: DataCenter, tunnels: Tunnels): Promise<Journey> {
  const fleet = dataCenter.requireFleet();
  const clientIds = new Map(ROAMERS.map((client) => [client, tunnels.clientId(client)] as const));
  await tunnels.forgetAll();
  await tunnels.assignClientIds(new Map(ROAMERS.map((client) => [client, null])));
  const before = await fleet.reconfigure(
    fleet.settings.map((settings) =>
      settings.name === TRAFFICSET ? { ...settings, dissector: 'four-tuple' } : settings,
    ),
  );
  await freshSessions(dataCenter, tunnels, ROAMERS);
  const seen = await journey(dataCenter, tunnels, { probeS: PROBE_S, stallMs: STALL_MS });

  await tunnels.forgetAll();
  await tunnels.assignClientIds(clientIds);
  await fleet.reconfigure(before);
  // The last step: who looks around afterwards finds tunnels that work.
  await tunnels.connect(ROAMERS);
  return seen;
}
